"""Eagle's round-robin greedy selection of encoders (Shi et al. 2024, "Eagle", section on mixing vision experts).

From a start set, each round trains that set joined by each of the encoders left, all under the same budget, and the best becomes the
next round's set. It ends where none is better than the set it grew from, or no encoder is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.sweeps.searching.config import EncoderSet, RoundRobinSearch

Scores = Mapping[str, float]
"""Benchmark or family -> percent."""

AnySet = frozenset[str]
"""Encoders in no order."""


@dataclass(frozen=True, slots=True)
class Round:
    """Where a selection stands: the best set so far, the sets that are trained to compare with it, and the best sets of all rounds."""

    best: EncoderSet
    candidates: tuple[EncoderSet, ...]
    path: tuple[EncoderSet, ...]

    @property
    def is_over(self) -> bool:
        """Whether `best` is what the selection ends with."""
        return not self.candidates


def current_round(
    search: RoundRobinSearch,
    pool: Sequence[str],
    scored: Mapping[AnySet, Scores],
    failed: Collection[AnySet] = (),
) -> Round:
    """Where the selection stands with what was scored so far, in any order; nothing else is remembered, so that a search that was cut
    off goes on from its results.

    A round is decided once all its candidates are scored or have failed; before that, those that are not stand in `candidates`.
    """
    best, path = tuple(dict.fromkeys(search.start)), list[EncoderSet]()
    while True:
        path.append(best)
        if frozenset(best) in failed:
            return Round(best, (), tuple(path))
        candidates = [one for one in _candidates(search, pool, best) if frozenset(one) not in failed]
        waiting = [one for one in (best, *candidates) if frozenset(one) not in {*scored, *failed}]
        if waiting or not candidates:
            return Round(best, tuple(waiting), tuple(path))
        merits = normalised_averages([scored[frozenset(one)] for one in (best, *candidates)])
        winner = max(range(len(candidates)), key=lambda place: merits[place + 1])
        if merits[winner + 1] <= merits[0]:
            return Round(best, (), tuple(path))
        best = candidates[winner]


def normalised_averages(scores: Sequence[Scores]) -> list[float]:
    """For each: the mean over benchmarks of its score over the best one's, so that no benchmark weighs more for its scale.

    Raises ValueError where they were not scored on the same benchmarks.
    """
    names = scores[0].keys()
    if any(one.keys() != names for one in scores):
        raise ValueError(
            "round_robin: the sets were scored on different benchmarks; score them all with the same settings"
        )
    highest = {name: max(one[name] for one in scores) for name in names}
    return [fmean(one[name] / highest[name] if highest[name] else 1.0 for name in names) for one in scores]


def _candidates(search: RoundRobinSearch, pool: Sequence[str], best: EncoderSet) -> list[EncoderSet]:
    if search.most is not None and len(best) >= search.most:
        return []
    return [(*best, encoder) for encoder in dict.fromkeys(pool) if encoder not in best]
