"""Every configuration's scores with their intervals, and how far from the published ones they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.intervals import Interval, family_intervals, score_interval
from opabinia.studies.answers import SweepAnswers
from opabinia.studies.columns import AVERAGE, on_column
from opabinia.studies.config import Side, StudyConfig


@dataclass(frozen=True, slots=True)
class Scored:
    """A configuration, seeds together. intervals: of the average, and of each family."""

    name: str
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Repeated:
    """A published number beside ours. within: whether ours misses it by no more than the study's tolerance."""

    name: str
    column: str
    published: float
    here: Interval
    within: bool


def score_all(answers: SweepAnswers) -> list[Scored]:
    """All configurations, best first. Raises ValueError where all questions of one task are about one image."""
    scored = [_scored(answers, name) for name in answers.configurations]
    return sorted(scored, key=lambda one: -one.intervals[AVERAGE].score)


def against_published(study: StudyConfig, answers: SweepAnswers) -> list[Repeated]:
    """Every published number of a configuration that was trained and a column that was asked, in the order they are written."""
    return [
        Repeated(name, column, value, here, abs(here.score - value) <= study.tolerance)
        for name, values in study.published.items()
        for column, value in values.items()
        if (here := _measured(answers, name, column)) is not None
    ]


def _measured(answers: SweepAnswers, name: str, column: str) -> Interval | None:
    if name not in answers.configurations:
        return None
    credits = on_column(answers.credits(Side(configuration=name)), column)
    return score_interval(credits) if credits.questions else None


def intervals_of(credits: Credits) -> dict[str, Interval]:
    """Of the average and of each family. Raises ValueError where all questions of one task are about one image."""
    return {AVERAGE: score_interval(credits), **family_intervals(credits)}


def _scored(answers: SweepAnswers, name: str) -> Scored:
    return Scored(name, intervals_of(answers.credits(Side(configuration=name))))
