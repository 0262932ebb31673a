"""Rounds of a greedy selection: each connector selects for itself, and no trial is run that no round asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from pydantic import ValidationError

from connectors.settings.mlp import MlpSettings
from opabinia.evaluation.report import Status
from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.searching.config import RoundRobinSearch
from opabinia.sweeps.selection import run_rounds
from opabinia.sweeps.space import SweepConfig, search_text, trials
from opabinia.training.run import RunConfig
from tests.evaluation.specimens import report, scores
from tests.sweeps.page.sweep import runs_of, write_experiment

CAPTION, MIM, DENSE = POOL = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")
SEARCH = RoundRobinSearch(start=(CAPTION,))
Score = Callable[[RunConfig], float]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunConfig]:
    """Of the sets that hold the start, with two connectors."""
    every = runs_of(write_experiment(tmp_path_factory.mktemp("experiment")))
    return [run for run in every if CAPTION in run.model.encoders]


class Trainer:
    """Gives each run the score that a function says, and notes which runs it was asked for."""

    def __init__(self, score: Score, status: Callable[[RunConfig], Status] = lambda run: "finished") -> None:
        self.score, self.status = score, status
        self.asked: list[list[str]] = []

    def __call__(self, some: Sequence[RunConfig]) -> list[Outcome]:
        self.asked.append([run.name for run in some])
        return [self._outcome(run) for run in some]

    def _outcome(self, run: RunConfig) -> Outcome:
        found = report(
            run.name, encoders=run.model.encoders, status=self.status(run), with_image=scores(*[self.score(run)] * 4)
        )
        return Outcome(run, cast("Any", None), report=found)


def worth(run: RunConfig) -> float:
    """With sva, dense-convnext helps and mim-vit does harm; with the MLP, nothing helps."""
    helps = {DENSE: 10.0, MIM: -5.0} if run.connector_label == "sva" else {}
    return 50.0 + sum(helps.get(encoder, -1.0) for encoder in run.model.encoders)


def test_each_connector_selects_what_helps_it(runs: list[RunConfig]) -> None:
    trainer = Trainer(worth)
    outcomes, selections = run_rounds(runs, trainer, SEARCH, POOL)
    assert {one.label: one.path for one in selections} == {
        "mlp2x_gelu": ((CAPTION,),),
        "sva": ((CAPTION,), (CAPTION, DENSE)),
    }
    names = [outcome.run.name for outcome in outcomes]
    assert len(names) == 3 + 4
    assert "caption-vit+mim-vit+dense-convnext.mlp2x_gelu.s0" not in names


def test_every_round_is_asked_for_with_those_before_it(runs: list[RunConfig]) -> None:
    trainer = Trainer(worth)
    run_rounds(runs, trainer, SEARCH, POOL)
    first, second = trainer.asked
    assert len(first) == 2 * 3
    assert second == [*first, "caption-vit+mim-vit+dense-convnext.sva.s0"]


def test_a_set_whose_trial_failed_is_passed_over(runs: list[RunConfig]) -> None:
    def broken(run: RunConfig) -> Status:
        return "failed" if run.model.encoders == (CAPTION, DENSE) else "finished"

    _, selections = run_rounds(runs, Trainer(worth, broken), SEARCH, POOL)
    assert [one.selected for one in selections] == [(CAPTION,), (CAPTION,)]


def config(**changes: Any) -> SweepConfig:
    settings = {"pool": POOL, "connectors": (MlpSettings(),), "search": SEARCH, "scheduler": None}
    return SweepConfig.model_validate(settings | changes)


def test_the_sweep_lists_every_set_that_a_selection_could_come_to() -> None:
    assert [trial.encoders for trial in trials(config())] == [(CAPTION,), (CAPTION, MIM), (CAPTION, DENSE), POOL]
    at_most_two = config(search={"type": "round_robin", "start": [CAPTION], "most": 2})
    assert max(len(trial.encoders) for trial in trials(at_most_two)) == 2
    assert "known when they are trained" in str(search_text(config()))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder_sets": [[CAPTION]]}, "encoder_sets: round_robin selects from pool"),
        ({"scheduler": {}}, "scheduler: round_robin compares trials that ran to their end"),
        ({"pool": [MIM]}, f"search.start: {CAPTION} is not in pool"),
        ({"pool": [CAPTION]}, "pool: search.start has all of it already"),
        ({"search": {"type": "round_robin", "start": [CAPTION], "most": 0}}, "greater than 1"),
        ({"search": {"type": "round_robin", "start": [CAPTION, MIM], "most": 2}}, "search.most: 2 leaves no room"),
    ],
)
def test_a_selection_that_cannot_be_made_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    assert said in str(refused.value)
