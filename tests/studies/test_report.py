"""The report of a study holds its scores with intervals, every finding, and what else it measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.evaluation.statistics.intervals import score_interval
from opabinia.studies.config import Side, StudyConfig
from opabinia.studies.page import study_markdown
from opabinia.studies.report import StudyReport, report_study, study_json
from tests.studies.answered import answered, trial
from tests.studies.test_answers import write_sweep

SWEEP = answered({"bad": 0.4, "good": 0.8})
STUDY: dict[str, Any] = {
    "source": "Somebody 2024",
    "tolerance": 2.0,
    "published": {"good": {"average": 80.0, "general": 10.0}},
    "findings": [{"says": "Good is better", "better": "good", "than": "bad", "by": 3.0}],
    "measures": ["blind", "lengths"],
}


def report(**changes: object) -> StudyReport:
    return report_study(StudyConfig.model_validate({**STUDY, **changes}), SWEEP)


def test_scores_are_ranked_and_have_the_interval_of_all_seeds() -> None:
    scores = report().scores
    assert [one.name for one in scores] == ["good", "bad"]
    assert scores[0].intervals["average"] == score_interval(SWEEP.credits(Side(configuration="good")))
    assert list(scores[0].intervals) == ["average", "general", "knowledge"]


def test_published_numbers_are_repeated_within_the_tolerance() -> None:
    here = report().scores[0].intervals
    near = round(here["average"].score) + 1.0
    average, general = report(published={"good": {"average": near, "general": 10.0}}).repeated
    assert (average.within, general.within) == (True, False)
    assert average.here == here["average"]


def test_what_the_image_adds_is_told_for_all_together_and_for_each() -> None:
    rows = report().blind
    assert [(row.name, row.column) for row in rows] == [
        ("all configurations", "general"),
        ("all configurations", "knowledge"),
        ("all configurations", "average"),
        ("bad", "average"),
        ("good", "average"),
    ]
    for row in rows:
        assert row.added.points == pytest.approx(row.seen.score - row.blind.score)
        assert row.guessing == pytest.approx(100 / 3)


def test_lengths_are_of_all_seeds() -> None:
    seeds = {seed: trial("talks", seed, 0.5, words=words) for seed, words in enumerate((1.0, 2.0, 3.0))}
    sweep = type(SWEEP)({"talks": seeds}, {})
    (row,) = report_study(StudyConfig.model_validate({"source": "x", "measures": ["lengths"]}), sweep).lengths
    assert (row.words, row.one_word) == (pytest.approx(2.0), pytest.approx(100 / 3))
    assert row.half_width == pytest.approx(4.303 / 3**0.5, rel=0.01)  # Student's t at 2 degrees of freedom, deviation 1


def test_what_is_not_measured_has_no_section() -> None:
    page = study_markdown(report(measures=[], published={}, findings=[]), "name", [])
    assert [line for line in page.splitlines() if line.startswith("#")] == ["# name", "## Scores"]


@pytest.mark.parametrize(("seeds", "warned"), [((0,), True), ((0, 1), False)])
def test_the_page_warns_of_a_single_seed(seeds: tuple[int, ...], warned: bool) -> None:
    study = StudyConfig.model_validate({"source": "x"})
    page = study_markdown(report_study(study, answered({"good": 0.8}, seeds)), "name", [])
    assert ("is of that one trained model" in page) == warned


def test_the_page_says_plainly_what_appears() -> None:
    page = study_markdown(report(), "recipe", ["- Made so."])
    assert page.startswith("# recipe\n\nAfter Somebody 2024.\n\n- Made so.\n")
    (line,) = [line for line in page.splitlines() if line.startswith("| Good is better")]
    assert line.startswith("| Good is better | **appears** | +3.00 | good minus bad | average | +")
    assert "<0.0001" in line
    assert "\n- Appears: Good is better.\n" in page


def test_every_table_of_the_page_has_as_many_cells_in_each_row() -> None:
    rows: list[str] = []
    for line in [*study_markdown(report(), "recipe", []).splitlines(), ""]:
        if line.startswith("|"):
            rows.append(line)
        elif rows:
            assert len({row.count("|") for row in rows}) == 1
            rows = []


def test_every_number_is_kept_as_json() -> None:
    told = json.loads(study_json(report(), ["so"]))
    assert told["made_by"] == ["so"]
    assert told["findings"][0]["finding"]["better"]["configuration"] == "good"
    assert told["findings"][0]["verdict"] == "appears"
    assert told["scores"][0]["intervals"]["average"]["seeds"] == 3


def test_the_job_writes_the_page_and_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.report_study import main

    folder = tmp_path / "sweeps" / "20260101-120000"
    folder.parent.mkdir()
    settings = write_sweep(folder, {0: "finished", 1: "finished"}) / "experiment.yaml"
    page = tmp_path / "docs" / "page.md"
    flags = ["--output", str(tmp_path), "--study.source", "Somebody 2024", "--page", str(page)]
    main(["--config", str(settings), *flags])
    assert page.read_text() in capsys.readouterr().out
    assert "2 trials finished, of 2 configurations" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["source"] == "Somebody 2024"


def test_an_experiment_without_a_study_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.report_study import main

    folder = tmp_path / "sweeps" / "20260101-120000"
    folder.parent.mkdir()
    settings = write_sweep(folder, {0: "finished"}) / "experiment.yaml"
    with pytest.raises(SystemExit):
        main(["--config", str(settings), "--output", str(tmp_path)])
    assert capsys.readouterr().err.startswith("study: missing; say there what was published")


def test_a_study_whose_sweep_was_not_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.report_study import main

    folder = tmp_path / "sweeps" / "20260101-120000"
    folder.parent.mkdir()
    settings = write_sweep(folder, {0: "finished"}) / "experiment.yaml"
    with pytest.raises(SystemExit):
        main(["--config", str(settings), "--output", str(tmp_path / "other"), "--study.source", "Somebody 2024"])
    told = capsys.readouterr().err
    nowhere = tmp_path / "other" / "sweeps"
    assert told == f"of: no sweep was begun below {nowhere}; run jobs/sweep_encoders.py with the same settings first\n"
