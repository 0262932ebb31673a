"""Score a checkpoint on the held-out benchmark, or on published ones, with the image and without.

Without --checkpoint, the champion is scored; --benchmark.files '{cv_bench: test.parquet}' names files of published benchmarks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

if TYPE_CHECKING:
    from opabinia.models.answering import ModelAnswerer
    from opabinia.training.reports.scorer import Scored, Scorer

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class EvaluateSettings(Experiment):
    """An experiment whose benchmark scores a checkpoint."""

    checkpoint: Path | None = None
    """Checkpoint folder, as training writes it; null fetches the champion from MLflow."""

    results: Path | None = None
    """Folder for report.json (scores, and how each was asked and scored) and answers.json (every answer); null writes neither."""

    masks: bool = False
    """Score every subset of the encoders too, with the features of the others zeroed: what each encoder adds."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(EvaluateSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _evaluate(settings)


def _evaluate(settings: EvaluateSettings) -> None:
    from opabinia.evaluation.answer_length import answer_length
    from opabinia.evaluation.benchmarks.score_table import render_benchmarks
    from opabinia.evaluation.table import render_table
    from opabinia.models.answering import load_answerer
    from opabinia.training.reports.scorer import open_scorer
    from opabinia.winner import fetch_winner

    scorer = open_scorer(settings.benchmark)
    folder = settings.checkpoint or fetch_winner(settings)
    answerer = load_answerer(folder)
    model = answerer.model.config
    scored = scorer.score(answerer, folder.name, model.encoders, model.connector.type, seed=settings.seed)
    table = render_benchmarks(scored.report) if settings.benchmark.files else render_table([scored.report])
    length = answer_length(scored.with_image.answers)
    print(
        f"{folder}\n\n{table}\n\nanswers: {length.words:.1f} words on average, {length.one_word:.0f} % of one word",
        flush=True,
    )
    if settings.results:
        _write(scored, settings.results)
    if settings.masks:
        _print_masks(scorer, answerer)


def _write(scored: Scored, folder: Path) -> None:
    from opabinia.evaluation.report import to_json
    from opabinia.evaluation.samples import save_answers
    from opabinia.storage.atomic import whole_text

    folder.mkdir(parents=True, exist_ok=True)
    save_answers(folder / "answers.json", scored.with_image, scored.blind)
    with whole_text(folder / "report.json") as file:
        file.write(to_json(scored.report) + "\n")
    print(f"\nreport and answers: {folder}", flush=True)


def _print_masks(scorer: Scorer, answerer: ModelAnswerer) -> None:
    from opabinia.evaluation.masking.masked import score_masks
    from opabinia.evaluation.masking.masks_table import render_masks

    config = scorer.config
    masked = score_masks(
        answerer,
        scorer.questions,
        scorer.images,
        batch=config.batch,
        max_new_tokens=config.max_new_tokens,
        prompt_kind=config.prompt,
    )
    print(f"\n{render_masks(masked)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
