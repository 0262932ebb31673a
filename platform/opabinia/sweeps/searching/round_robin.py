"""Eagle's round-robin greedy selection of encoders (Shi et al. 2024, "Eagle", section on mixing vision experts).

From a start set, each round trains that set joined by each of the encoders left, all under the same budget, and the best becomes the
next round's set. It ends where none is better than the set it grew from, or no encoder is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from pydantic import Field, model_validator

from opabinia.config import Config

EncoderSet = tuple[str, ...]

Scores = Mapping[str, float]
"""Benchmark or family -> percent."""


class RoundRobinConfig(Config):
    """Which encoders are selected from, and from where."""

    type: Literal["round_robin"] = "round_robin"
    """Greedy selection, one encoder a round."""

    start: EncoderSet = Field(min_length=1)
    """The set to begin with; Eagle began with its best pair."""

    pool: EncoderSet = Field(min_length=1)
    """The encoders that may join it."""

    most: int | None = Field(default=None, gt=1)
    """End at so many encoders; null for as many as there are."""

    @model_validator(mode="after")
    def _grows(self) -> RoundRobinConfig:
        if not set(self.pool) - set(self.start):
            raise ValueError(f"pool: start has all of {', '.join(self.pool)} already; name an encoder that can join")
        if self.most is not None and self.most <= len(self.start):
            raise ValueError(f"most: {self.most} leaves no room beside the {len(self.start)} of start; raise it")
        return self


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


def current_round(config: RoundRobinConfig, scored: Mapping[frozenset[str], Scores]) -> Round:
    """Where the selection stands with what was scored so far, in any order; nothing else is remembered, so that a search that was cut
    off goes on from its results.

    A round is decided once all its candidates are scored; before that, those that are not stand in `candidates` as well.
    """
    best, path = tuple(dict.fromkeys(config.start)), list[EncoderSet]()
    while True:
        path.append(best)
        candidates = _candidates(config, best)
        waiting = [one for one in (best, *candidates) if frozenset(one) not in scored]
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


def _candidates(config: RoundRobinConfig, best: EncoderSet) -> list[EncoderSet]:
    if config.most is not None and len(best) >= config.most:
        return []
    return [(*best, encoder) for encoder in dict.fromkeys(config.pool) if encoder not in best]
