"""HyperBand's brackets and who goes on in them (Li et al. 2018, "Hyperband", Algorithm 1), decided from what was reported so far.

Budgets are reports. Trials are dealt to brackets by a digest of their names, which is as good as random and stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

from opabinia.sweeps.scheduling import SchedulerConfig


class Bracket(NamedTuple):
    """How many trials begin, and the reports at which they are compared; the last is all there are."""

    trials: int
    rungs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reported:
    """What a trial told: the score of each report so far, None where it had none; and how many reports a whole trial gives."""

    scores: Sequence[float | None]
    whole: int


def brackets(config: SchedulerConfig, reports: int) -> list[Bracket]:
    """One band, the hastiest first, for trials that give so many reports: they begin with at least `grace` of them."""
    eta, halvings = config.reduction_factor, 0
    while config.grace * eta ** (halvings + 1) <= reports:
        halvings += 1
    return [
        Bracket(
            -(-(halvings + 1) * eta**number // (number + 1)),
            tuple(reports // eta**back for back in range(number, -1, -1)),
        )
        for number in range(halvings, -1, -1)
    ]


def targets(config: SchedulerConfig, reported: Mapping[str, Reported], lost: Collection[str] = ()) -> dict[str, int]:
    """Trial -> how many reports it should give before it pauses or ends, of those that should go on now; none when all is decided.

    lost: trials that failed. A bracket waits at each rung until all that are left in it are there.
    """
    wanted = dict[str, int]()
    for bracket, names in _dealt(config, reported):
        wanted |= _of_bracket(config, bracket, [name for name in names if name not in lost], reported)
    return wanted


def _of_bracket(
    config: SchedulerConfig, bracket: Bracket, names: Sequence[str], reported: Mapping[str, Reported]
) -> dict[str, int]:
    left = list(names)
    for rung in bracket.rungs:
        goals = {name: min(rung, reported[name].whole) for name in left}
        waiting = {name: goal for name, goal in goals.items() if len(reported[name].scores) < goal}
        if waiting:
            return waiting
        best_first = sorted(left, key=lambda name: _merit(config, reported[name].scores[goals[name] - 1]), reverse=True)
        left = best_first[: max(1, len(left) // config.reduction_factor)]
    return {}


def _merit(config: SchedulerConfig, score: float | None) -> float:
    if score is None:
        return float("-inf")
    return score if config.mode == "max" else -score


def _dealt(config: SchedulerConfig, reported: Mapping[str, Reported]) -> Iterator[tuple[Bracket, list[str]]]:
    """Bracket after bracket is filled, band after band."""
    names = sorted(reported, key=lambda name: hashlib.sha256(name.encode()).digest())
    for bracket in cycle(brackets(config, max((one.whole for one in reported.values()), default=1))):
        if not names:
            return
        yield bracket, names[: bracket.trials]
        names = names[bracket.trials :]
