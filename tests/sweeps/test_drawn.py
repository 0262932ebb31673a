"""Drawing trials one after another: what is known is on disk, and what was drawn is run before more is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from ray.tune.search import Searcher

from connectors.settings.sva import SvaSettings
from opabinia.evaluation.report import Status
from opabinia.names import trial_name
from opabinia.sweeps.drawn import Drawing, DrawnTrials
from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.searching.config import TPESearch
from opabinia.sweeps.searching.draws import log_draw, logged_draws
from opabinia.sweeps.searching.points import Axes, Point
from opabinia.training.run import RunConfig
from tests.evaluation.specimens import report, scores
from tests.sweeps.planning.runs import run_of

AXES = Axes({"a": ("a",), "b": ("b",)}, {"sva": SvaSettings()}, {None: None}, {"connector.sva.depth": (1, 2, 3)})
SEEDS = (0, 1)


def runs_at(point: Point) -> list[RunConfig]:
    """Depth 3 cannot be trained."""
    if point["connector.sva.depth"] == 3:
        raise ValueError("too deep")
    if point["encoders"] not in AXES.encoder_sets:
        raise LookupError(point["encoders"])
    name = f"{point['encoders']}.sva,depth={point['connector.sva.depth']}"
    return [run_of(trial_name(name, seed), seed=seed) for seed in SEEDS]


def drawing(folder: Path, samples: int = 3, seed: int = 0) -> Drawing:
    return Drawing(AXES, TPESearch(type="tpe", samples=samples, seed=seed, startup=1), runs_at, folder / "draws.jsonl")


def outcome(run: RunConfig, score: float, status: Status = "finished", reports: int = 1, **more: Any) -> Outcome:
    told = report(run.name, status=status, with_image=scores(*[score] * 4))
    return Outcome(run, cast("Any", None), report=told, scores=dict.fromkeys(range(reports), score), **more)


def everything(of: Drawing, outcomes: dict[str, Outcome]) -> list[str]:
    """The names of all trials that it gives, each of which finishes before the next is asked for."""
    of.outcomes = outcomes
    names = list[str]()
    while (run := of.next_run()) is not None:
        names.append(run.name)
        outcomes[run.name] = outcome(run, 50.0)
        of.ended.add(run.name)
    return names


def test_every_draw_is_run_with_every_seed_and_none_is_drawn_twice(tmp_path: Path) -> None:
    names = everything(drawing(tmp_path), {})
    assert len(names) == len(set(names)) == 3 * len(SEEDS)
    assert [name.rpartition(".s")[2] for name in names] == ["0", "1"] * 3


def test_what_cannot_be_trained_is_drawn_past(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = everything(drawing(tmp_path, samples=6), {})
    assert len(names) == 4 * len(SEEDS)
    said = capsys.readouterr().out
    assert said.count("left out, 1 draw: too deep") == 2
    assert "tpe: no other configuration after 4; all were drawn" in said


def test_a_sweep_that_was_cut_off_runs_what_it_had_drawn_and_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    outcomes: dict[str, Outcome] = {}
    whole = everything(drawing(tmp_path / "whole"), outcomes)
    first = drawing(tmp_path / "cut")
    begun = [run for _ in range(4) if (run := first.next_run())]
    assert [run.name for run in begun] != []
    # The first two trials ended, the third was cut off, the fourth was not begun.
    first = drawing(tmp_path / "again")
    ended = dict(list(outcomes.items())[:2])
    for one in ended.values():
        one.over = True
    for point, _ in drawing(tmp_path / "whole").drawn[:2]:
        log_draw(tmp_path / "again" / "draws.jsonl", point)
    again = drawing(tmp_path / "again")
    again.go_on(ended)
    assert everything(again, ended) == whole[2:]
    assert [run.name for run in again.runs] == whole


def test_more_samples_go_on_after_those_that_there_are(tmp_path: Path) -> None:
    outcomes: dict[str, Outcome] = {}
    few = everything(drawing(tmp_path, samples=2), outcomes)
    for one in outcomes.values():
        one.over = True
    more = drawing(tmp_path, samples=3)
    more.go_on(outcomes)
    assert len(everything(more, outcomes)) == len(SEEDS)
    assert [run.name for run in more.runs][: len(few)] == few


def test_points_that_the_sweep_has_no_longer_are_left_out(tmp_path: Path) -> None:
    log_draw(tmp_path / "draws.jsonl", {"encoders": "c", "connector": "sva", "connector.sva.depth": 1})
    assert drawing(tmp_path).runs == []


def became(of: Drawing, runs: Sequence[RunConfig], outcomes: Sequence[Outcome]) -> tuple[str, float | None, int]:
    of.outcomes = {one.run.name: one for one in outcomes}
    of.ended = {run.name for run in runs}
    tried, *_ = of.tried()
    return tried.state, tried.score, tried.reports


def test_a_configuration_scores_the_mean_of_its_seeds(tmp_path: Path) -> None:
    of = drawing(tmp_path)
    assert of.next_run() is not None
    one, two = runs = of.drawn[0][1]
    assert became(of, runs, [outcome(one, 40.0, reports=4), outcome(two, 60.0, reports=4)]) == ("finished", 50.0, 4)
    stopped = outcome(two, 10.0, "stopped", reports=2)
    assert became(of, runs, [outcome(one, 40.0, reports=4), stopped]) == ("finished", 40.0, 4)
    assert became(of, runs, [outcome(one, 20.0, "stopped", reports=2), stopped]) == ("stopped", 15.0, 2)
    assert became(of, runs, [outcome(one, 20.0, "failed", failed=True)]) == ("failed", None, 0)
    of.ended = {one.name}
    tried, *_ = of.tried()
    assert tried.state == "running", "one of its seeds still runs"


def test_tune_is_given_runs_and_told_that_there_are_no_more(tmp_path: Path) -> None:
    of = drawing(tmp_path, samples=1)
    searcher = DrawnTrials(of)
    given = [searcher.suggest(f"trial-{number}") for number in range(3)]
    assert [RunConfig.model_validate_json(one["run"]) for one in given[:2]] == of.runs
    assert given[2] == Searcher.FINISHED
    searcher.on_trial_complete("trial-1")
    assert of.ended == {of.runs[1].name}


def test_draws_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "draws.jsonl"
    points: list[Point] = [{"connector": "sva", "x": (4, 16), "y": 1e-3, "z": None}, {"connector": "sva", "x": ()}]
    assert logged_draws(file) == []
    for point in points:
        log_draw(file, point)
    with file.open("a") as lines:
        lines.write('{"connector": "sv')
    assert logged_draws(file) == points
    log_draw(file, points[0])
    assert logged_draws(file) == [*points, points[0]]
    file.write_text('{"a": 1}\n[1]\n')
    with pytest.raises(ValueError, match=r"draws.jsonl: line 2 is damaged .*; move the file away"):
        logged_draws(file)
