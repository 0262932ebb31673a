from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from opabinia.evaluation.evaluate import Evaluation, Judged
from opabinia.evaluation.report import Status, TrialReport
from opabinia.evaluation.samples import save_answers
from opabinia.evaluation.scoring import family_scores
from opabinia.evaluation.statistics.intervals import score_interval
from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.publish import write_results
from tests.evaluation.statistics.specimens import World, burgess, one_task, trial

RNG = np.random.default_rng(0)
QUESTIONS = burgess(60, RNG)
HARDNESS = World().hardness(QUESTIONS, RNG)
RIGHT = {"mim": 0.0, "clip": 1.0}


def outcome(folder: Path, encoder: str, seed: int, *, status: Status = "finished") -> Outcome:
    """What a trial leaves: its report, and a checkpoint folder with every answer."""
    world = World(skill=RIGHT[encoder])
    report, credits = trial(encoder, seed, world.answers(QUESTIONS, HARDNESS, 1, RNG), status)
    answered(folder / report.trial_id, credits.questions, credits.earned[0].tolist())
    return left_by(report, folder / report.trial_id)


def left_by(report: TrialReport, checkpoint: Path | None) -> Outcome:
    run = cast("Any", SimpleNamespace(name=report.trial_id))
    return Outcome(run, cast("Any", None), report=report, checkpoint=checkpoint)


def answered(folder: Path, questions: Sequence[Any], credits: Sequence[float]) -> None:
    folder.mkdir(parents=True)
    judged = tuple(Judged(asked, "", credit) for asked, credit in zip(questions, credits, strict=True))
    made = Evaluation(family_scores(questions, credits), judged, True, "text", "choice-match-2", 1, 0.0)
    save_answers(folder / "answers.json", made, made)


@pytest.fixture
def sweep(tmp_path: Path) -> list[Outcome]:
    return [outcome(tmp_path, encoder, seed) for seed in (0, 1) for encoder in ("mim", "clip")]


def test_every_trial_has_the_interval_of_its_own_answers(sweep: list[Outcome], tmp_path: Path) -> None:
    results = write_results("toy", sweep, tmp_path / "results")
    lines = list(csv.DictReader((tmp_path / "results" / "ablation.csv").open()))
    assert [line["trial"][:4] for line in lines] == ["clip", "clip", "mim.", "mim."]
    for line in lines:
        interval = results.intervals[line["trial"]]
        assert interval.seeds == 1
        assert (float(line["low"]), float(line["high"])) == pytest.approx((interval.low, interval.high), abs=0.01)
        assert float(line["low"]) < float(line["average"]) < float(line["high"])


def test_configurations_are_compared_seeds_together(sweep: list[Outcome], tmp_path: Path) -> None:
    write_results("toy", sweep, tmp_path / "results")
    compared = json.loads((tmp_path / "results" / "comparison.json").read_text())
    assert compared["baseline"] == "mim.sva"
    assert [comparison["name"] for comparison in compared["comparisons"]] == ["clip.sva"]
    assert compared["scores"]["clip.sva"]["seeds"] == 2
    assert compared["comparisons"][0]["average"]["over_seeds"]
    page = (tmp_path / "results" / "comparison.md").read_text()
    assert page.startswith("# toy: every configuration against mim.sva\n")


def test_the_baseline_can_be_chosen(sweep: list[Outcome], tmp_path: Path) -> None:
    write_results("toy", sweep, tmp_path / "results", "clip.sva")
    assert json.loads((tmp_path / "results" / "comparison.json").read_text())["baseline"] == "clip.sva"


def test_the_heat_map_has_the_intervals(sweep: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("opabinia.sweeps.publish.draw_heat_map", lambda *_, **named: drawn.append(named))
    write_results("toy", sweep, tmp_path / "results")
    scores = json.loads((tmp_path / "results" / "comparison.json").read_text())["scores"]
    both_seeds = {name: (score["high"] - score["low"]) / 2 for name, score in scores.items()}
    assert drawn[0]["half_widths"] == pytest.approx(
        {("clip", "sva"): both_seeds["clip.sva"], ("mim", "sva"): both_seeds["mim.sva"]}
    )


def test_the_tasks_are_mapped_where_three_trials_finished(sweep: list[Outcome], tmp_path: Path) -> None:
    write_results("toy", sweep, tmp_path / "results")
    mapped = json.loads((tmp_path / "results" / "benchmark_map.json").read_text())
    assert mapped["runs"] == 4
    assert len(mapped["correlations"]) == len(mapped["benchmarks"]) == len(mapped["clusters"])
    assert Image.open(tmp_path / "results" / "benchmark_map.png").convert("L").getextrema()[0] < 60
    write_results("toy", sweep[:2], tmp_path / "few")
    assert "a map needs 3 runs" in (tmp_path / "few" / "benchmark_map.json").read_text()


def test_nothing_is_lost_where_there_is_nothing_to_compare(tmp_path: Path) -> None:
    results = write_results("toy", [outcome(tmp_path, "clip", 0)], tmp_path / "results")
    assert "no other configuration finished" in (tmp_path / "results" / "comparison.md").read_text()
    assert not (tmp_path / "results" / "comparison.json").exists()
    assert "clip.sva.s0" in results.intervals
    assert Image.open(tmp_path / "results" / "heat_map.png").width > 300


def test_a_benchmark_too_small_for_intervals_still_has_scores(tmp_path: Path) -> None:
    asked = one_task(1, per_image=3)
    sweep: list[Outcome] = []
    for encoder, credits in (("mim", [1.0, 0.0, 0.0]), ("clip", [1.0, 1.0, 0.0])):
        report, _ = trial(encoder, 0, World().answers(asked, np.zeros(3), 1, RNG))
        answered(tmp_path / encoder, asked, credits)
        sweep.append(left_by(report, tmp_path / encoder))
    results = write_results("toy", sweep, tmp_path / "results")
    assert not results.intervals
    assert [(row.low, row.high) for row in results.rows] == [(None, None)] * 2
    assert "asks about one image" in (tmp_path / "results" / "comparison.md").read_text()


def test_seeds_that_answered_different_questions_lose_the_comparison_and_nothing_else(
    sweep: list[Outcome], tmp_path: Path
) -> None:
    report, credits = trial("mim", 2, World().answers(QUESTIONS[:-1], HARDNESS[:-1], 1, RNG))
    answered(tmp_path / "fewer", credits.questions, credits.earned[0].tolist())
    results = write_results("toy", [*sweep, left_by(report, tmp_path / "fewer")], tmp_path / "results")
    assert len(results.intervals) == 5
    assert "was not answered by both" in (tmp_path / "results" / "comparison.md").read_text()


def test_a_trial_that_broke_before_it_answered_is_in_the_table_and_not_compared(
    sweep: list[Outcome], tmp_path: Path
) -> None:
    assert sweep[0].report is not None
    broken = left_by(trial("mim", 2, World().answers(QUESTIONS, HARDNESS, 1, RNG), "failed")[0], None)
    results = write_results("toy", [*sweep, broken], tmp_path / "results")
    assert len(results.rows) == 5
    assert "mim.sva.s2" not in results.intervals
    assert json.loads((tmp_path / "results" / "comparison.json").read_text())["scores"]["mim.sva"]["seeds"] == 2


def test_trials_of_one_benchmark_hold_its_questions_once(sweep: list[Outcome]) -> None:
    from opabinia.sweeps.publish import _answered

    held = [credits.questions for _, credits in _answered(sweep)]
    assert all(questions is held[0] for questions in held)
    assert score_interval(_answered(sweep)[0][1]).images == 60
