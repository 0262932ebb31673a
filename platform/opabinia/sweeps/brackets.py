"""Run a sweep's trials in HyperBand's brackets: each rung on Ray Tune, paused trials going on from their own state.

Tune's own HyperBandScheduler is not used. Under a limit of concurrent trials its brackets stay unfilled, for that limit counts trials
that are paused; without one it starts all at once; and it knows its brackets in memory alone, so that a sweep that was killed would
begin them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opabinia.sweeps.follow import Outcome
from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.searching.hyperband import Reported, targets
from opabinia.training.run import RunConfig

RunUntil = Callable[[Sequence[RunConfig], Mapping[str, int]], list[Outcome]]
"""Runs each of some trials until it gave as many reports as stand by its name, and gives what came of all."""


def run_brackets(runs: Sequence[RunConfig], run_until: RunUntil, config: SchedulerConfig) -> list[Outcome]:
    """What came of all trials, in their order."""
    outcomes, lost = dict[str, Outcome](), set[str]()
    while wanted := targets(config, {run.name: _reported(run, outcomes) for run in runs}, lost):
        some = [run for run in runs if run.name in wanted]
        outcomes |= {outcome.run.name: outcome for outcome in run_until(some, wanted)}
        lost |= {run.name for run in some if len(_reported(run, outcomes).scores) < wanted[run.name]}
    return [outcomes[run.name] for run in runs if run.name in outcomes]


def _reported(run: RunConfig, outcomes: Mapping[str, Outcome]) -> Reported:
    scores = list(outcomes[run.name].scores.values()) if run.name in outcomes else []
    return Reported(scores, run.reports)
