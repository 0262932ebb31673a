"""What the image adds: scores with it, without it, and by guessing (Tong et al. 2024, §3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from opabinia.evaluation.statistics.comparing import Difference, paired_difference
from opabinia.evaluation.statistics.intervals import Interval, score_interval
from opabinia.evaluation.statistics.terms import families
from opabinia.studies.answers import SweepAnswers
from opabinia.studies.columns import AVERAGE
from opabinia.studies.config import Side
from opabinia.studies.findings import credits_on


@dataclass(frozen=True, slots=True)
class BlindRow:
    """One configuration, or all of them, on one family. guessing: percent; added: with the image minus without, points."""

    name: str
    column: str
    seen: Interval
    blind: Interval
    guessing: float
    added: Difference


def blind_rows(answers: SweepAnswers) -> list[BlindRow]:
    """Every family over all configurations, then each configuration's average. Raises ValueError as `score_all`."""
    together = [_row(answers, Side(), column) for column in [*families(answers.trials[0].questions), AVERAGE]]
    return [*together, *_each(answers)]


def _each(answers: SweepAnswers) -> Iterator[BlindRow]:
    for name in answers.configurations:
        yield _row(answers, Side(configuration=name), AVERAGE)


def _row(answers: SweepAnswers, side: Side, column: str) -> BlindRow:
    asked = [side.model_copy(update={"asked": way}) for way in ("image", "blind", "random")]
    seen, blind, guessed = (credits_on(answers, one, column) for one in asked)
    added = paired_difference(seen, blind, same_models=True)
    return BlindRow(
        str(side), column, score_interval(seen), score_interval(blind), score_interval(guessed).score, added
    )
