"""Run the rounds of a greedy selection of encoders, for each connector and variant on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.searching.config import EncoderSet, RoundRobinSearch
from opabinia.sweeps.searching.round_robin import AnySet, Round, Scores, current_round
from opabinia.training.run import RunConfig

RunSome = Callable[[Sequence[RunConfig]], list[Outcome]]
"""Runs those of some trials that did not end yet, and gives what came of all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a connector, or a connector and a variant, selected; path: the best set of each round, the start first."""

    label: str
    path: tuple[EncoderSet, ...]

    @property
    def selected(self) -> EncoderSet:
        return self.path[-1]


def run_rounds(
    runs: Sequence[RunConfig], run_some: RunSome, search: RoundRobinSearch, pool: Sequence[str]
) -> tuple[list[Outcome], list[Selection]]:
    """runs: one for each set that a selection could come to. Returns what came of those that were trained, and what was selected."""
    labels = list(dict.fromkeys(run.connector_label for run in runs))
    chosen, outcomes = list[RunConfig](), list[Outcome]()
    while True:
        rounds = {
            label: _round(search, pool, [one for one in outcomes if one.run.connector_label == label])
            for label in labels
        }
        wanted = {(label, frozenset(one)) for label, now in rounds.items() for one in now.candidates}
        new = [
            run for run in runs if run not in chosen and (run.connector_label, frozenset(run.model.encoders)) in wanted
        ]
        if not new:
            return outcomes, [Selection(label, now.path) for label, now in rounds.items()]
        chosen += new
        outcomes = run_some(chosen)


def _round(search: RoundRobinSearch, pool: Sequence[str], outcomes: Sequence[Outcome]) -> Round:
    sets = dict.fromkeys(frozenset(outcome.run.model.encoders) for outcome in outcomes)
    scored = {one: found for one in sets if (found := _mean_over_seeds(one, outcomes))}
    return current_round(search, pool, scored, [one for one in sets if one not in scored])


def _mean_over_seeds(encoders: AnySet, outcomes: Sequence[Outcome]) -> Scores | None:
    """Of each family; None where no seed finished."""
    finished = [
        outcome.report.with_image.families
        for outcome in outcomes
        if frozenset(outcome.run.model.encoders) == encoders
        and outcome.report
        and outcome.report.status == "finished"
        and outcome.report.with_image
    ]
    return {family: fmean(one[family] for one in finished) for family in finished[0]} if finished else None
