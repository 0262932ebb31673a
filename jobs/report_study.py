"""Say which findings of a published study appear in a finished sweep: scores with intervals, and each finding tested."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment


class ReportSettings(Experiment):
    """The experiment that the sweep was run from, whose `study` says what was published."""

    of: str = "latest"
    """The sweep: `latest`, or the name of its folder below OUTPUT/sweeps."""

    page: Path | None = None
    """A Markdown file for the report, with every number beside it as .json; null for study.md among the sweep's results."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(ReportSettings, argv, description=__doc__ or "")
    with plain_errors():
        _report(settings, argv)


def _report(settings: ReportSettings, argv: Sequence[str]) -> None:
    from opabinia.preparation import absolute_paths
    from opabinia.run_folders import SWEEP, begun_folder
    from opabinia.storage.atomic import whole_text
    from opabinia.studies.answers import sweep_answers
    from opabinia.studies.made_by import made_by
    from opabinia.studies.page import study_markdown
    from opabinia.studies.probing import probed
    from opabinia.studies.report import report_study, study_json

    if settings.study is None:
        raise ValueError("study: missing; say there what was published, as jobs/experiments/recipe_grid.yaml does")
    experiment = absolute_paths(settings)
    folder = begun_folder(
        SWEEP, experiment, settings.of, "of", fix="run jobs/sweep_encoders.py with the same settings first"
    )
    measures = settings.study.measures
    answers = probed(sweep_answers(folder), experiment.benchmark, measures, folder / "results")
    made = made_by(argv, folder, answers)
    report = report_study(settings.study, answers)
    page = settings.page or folder / "results" / "study.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    text = study_markdown(report, settings.name, made)
    with whole_text(page) as file:
        file.write(text)
    with whole_text(page.with_suffix(".json")) as file:
        file.write(study_json(report, made) + "\n")
    print(f"{text}\nreport    {page}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
