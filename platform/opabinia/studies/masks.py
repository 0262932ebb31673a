"""What each encoder of a trained model is worth: scores of every subset, and what is lost without one (arXiv 2507.03262)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from opabinia.evaluation.masking.utilisation import Kept
from opabinia.evaluation.statistics.comparing import Difference, paired_difference
from opabinia.evaluation.statistics.intervals import Interval, score_interval
from opabinia.evaluation.statistics.terms import families
from opabinia.studies.answers import SweepAnswers, Trial
from opabinia.studies.columns import AVERAGE
from opabinia.studies.config import Side
from opabinia.studies.findings import credits_on
from opabinia.studies.scores import Scored, intervals_of


@dataclass(frozen=True, slots=True)
class Lost:
    """What a model scores less without an encoder, points, seeds together.

    rate: the same in percent of the whole model's score; below 0 where the encoder does harm, None where that score is 0.
    """

    configuration: str
    encoder: str
    column: str
    whole: Interval
    points: Difference
    rate: float | None


@dataclass(frozen=True, slots=True)
class Masked:
    """subsets: every one of every configuration, best first; lost: by encoder and column; gaps: configuration -> column -> the largest
    rate minus the smallest."""

    subsets: list[Scored]
    lost: list[Lost]
    gaps: dict[str, dict[str, float]]


def masked_scores(answers: SweepAnswers) -> Masked:
    """Of all configurations with several encoders. Raises ValueError where there is none."""
    several = {name: trials for name, trials in answers.configurations.items() if _encoders(trials)[1:]}
    if not several:
        raise ValueError("study: masks need a configuration of several encoders; add one to sweep.encoder_sets")
    subsets = [scored for name, trials in several.items() for scored in _subsets(answers, name, _kept(trials))]
    lost = [one for name, trials in several.items() for one in _lost(answers, name, trials)]
    return Masked(subsets, lost, {name: _gaps([one for one in lost if one.configuration == name]) for name in several})


def _subsets(answers: SweepAnswers, name: str, kept: list[Kept]) -> list[Scored]:
    sides = [Side(configuration=name, keeps=one) for one in kept]
    scored = [Scored(str(side), intervals_of(answers.credits(side))) for side in sides]
    return sorted(scored, key=lambda one: -one.intervals[AVERAGE].score)


def _lost(answers: SweepAnswers, name: str, trials: Mapping[int, Trial]) -> Iterator[Lost]:
    encoders = _encoders(trials)
    whole = Side(configuration=name)
    for encoder in encoders:
        without = Side(configuration=name, keeps=tuple(other for other in encoders if other != encoder))
        for column in [AVERAGE, *families(answers.trials[0].questions)]:
            all_there, less = (credits_on(answers, side, column) for side in (whole, without))
            interval, points = score_interval(all_there), paired_difference(all_there, less, same_models=True)
            rate = 100 * points.points / interval.score if interval.score else None
            yield Lost(name, encoder, column, interval, points, rate)


def _gaps(lost: list[Lost]) -> dict[str, float]:
    rates: dict[str, list[float]] = {}
    for one in lost:
        if one.rate is not None:
            rates.setdefault(one.column, []).append(one.rate)
    return {column: max(of) - min(of) for column, of in rates.items()}


def _encoders(trials: Mapping[int, Trial]) -> tuple[str, ...]:
    return next(iter(trials.values())).report.encoders


def _kept(trials: Mapping[int, Trial]) -> list[Kept]:
    return [kept for kept in next(iter(trials.values())).earned if isinstance(kept, tuple)]
