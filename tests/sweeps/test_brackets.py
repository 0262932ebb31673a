"""Trials in HyperBand's brackets: each rung asks for no more than it needs, and what a trial told is not told again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from opabinia.sweeps.brackets import run_brackets
from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.trial import saved_at_reports, wait_for_state
from opabinia.training.checkpointing.layout import new_folder
from opabinia.training.checkpointing.manifest import MANIFEST
from opabinia.training.run import RunConfig
from tests.evaluation.specimens import report, scores
from tests.sweeps.planning.runs import run_of
from tests.training.stages import stage

CONFIG = SchedulerConfig(type="hyperband")
REPORTS = 4
RUNS = [run_of(f"t{number}.s0", stages=(stage(steps=8, reports=REPORTS),)) for number in range(10)]


class Trainer:
    """Trains each run from where it is; notes how far each was asked to go. The number in its name is its score."""

    def __init__(self, failing: str = "") -> None:
        self.told: dict[str, Outcome] = {}
        self.trained: dict[str, list[int]] = {}
        self.failing = failing

    def __call__(self, some: Sequence[RunConfig], until: Mapping[str, int]) -> list[Outcome]:
        assert {run.name for run in some} == until.keys()
        for run in some:
            one = self.told.setdefault(run.name, Outcome(run, cast("Any", None)))
            one.failed = run.name == self.failing
            before = len(one.scores)
            if before < until[run.name] and not one.failed:
                self.trained.setdefault(run.name, []).extend(range(before + 1, until[run.name] + 1))
                one.scores |= {2 * number: float(run.name[1]) for number in range(before + 1, until[run.name] + 1)}
                one.report = report(run.name, with_image=scores(1, 1, 1, 1))
        return [self.told[run.name] for run in some]


def test_no_trial_tells_a_report_twice_and_the_best_tells_all() -> None:
    trainer = Trainer()
    outcomes = run_brackets(RUNS, trainer, CONFIG)
    assert [outcome.run.name for outcome in outcomes] == [run.name for run in RUNS]
    for reports in trainer.trained.values():
        assert reports == list(range(1, len(reports) + 1))
    assert len(trainer.trained["t9.s0"]) == REPORTS
    assert sum(map(len, trainer.trained.values())) == (2 * 1 + 1 * 2 + 1 * 4) + (2 * 2 + 1 * 4) + 3 * 4


def test_a_sweep_that_was_cut_off_trains_what_is_left() -> None:
    whole, cut = Trainer(), Trainer()
    run_brackets(RUNS, whole, CONFIG)
    asked = 0

    def until_killed(some: Sequence[RunConfig], until: Mapping[str, int]) -> list[Outcome]:
        nonlocal asked
        asked += 1
        if asked == 2:
            cut(some[:1], {some[0].name: until[some[0].name]})
            raise KeyboardInterrupt
        return cut(some, until)

    with pytest.raises(KeyboardInterrupt):
        run_brackets(RUNS, until_killed, CONFIG)
    run_brackets(RUNS, cut, CONFIG)
    assert cut.trained == whole.trained


def test_a_trial_that_fails_ends_there_and_the_others_go_on() -> None:
    trainer = Trainer(failing="t9.s0")
    outcomes = run_brackets(RUNS, trainer, CONFIG)
    assert "t9.s0" not in trainer.trained
    assert len(outcomes) == len(RUNS)
    assert [outcome.run.name for outcome in outcomes if outcome.failed] == ["t9.s0"]


def test_a_run_that_pauses_is_saved_with_each_report_and_otherwise_the_same() -> None:
    run = RUNS[0]
    saved = saved_at_reports(run)
    assert saved.workers.may_begin_anew
    assert saved.model_copy(update={"workers": run.workers}) == run
    again = run_of(max_failures=3)
    assert saved_at_reports(again) == again


def test_a_report_is_held_back_until_its_state_is_whole(tmp_path: Path) -> None:
    assert not wait_for_state(str(tmp_path), 4, seconds=0.0)
    folder = Path(new_folder(tmp_path, 4, permanent=False))
    folder.mkdir(parents=True)
    assert not wait_for_state(str(tmp_path), 4, seconds=0.0), "half written"
    (folder / MANIFEST).touch()
    assert wait_for_state(str(tmp_path), 4, seconds=0.0)
    assert not wait_for_state(str(tmp_path), 5, seconds=0.0)
