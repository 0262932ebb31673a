"""Conditional utilisation of encoders and the gap between the most and the least used (arXiv 2507.03262, §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opabinia.evaluation.masking.stand_ins import Masking
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import FamilyScores

Kept = tuple[str, ...]
"""The encoders whose features are left as they are."""

AVERAGE = "average"
"""The mean of the families, beside them."""


@dataclass(frozen=True, slots=True)
class MaskedScores:
    """`scores` for every subset of the encoders, each in the model's order.

    credits: what the scores are made of, for each of the questions.
    masking: what stood in for the features of the others; seed: of what was drawn.
    """

    encoders: tuple[str, ...]
    scores: Mapping[Kept, FamilyScores]
    credits: Mapping[Kept, tuple[float, ...]] = field(default_factory=dict[Kept, tuple[float, ...]])
    questions: tuple[Question, ...] = ()
    masking: Masking = "zero"
    seed: int = 0

    def score(self, kept: Kept, column: str) -> float:
        """Percent in a family, or the average."""
        scores = self.scores[kept]
        return scores.average if column == AVERAGE else scores.families[column]

    @property
    def columns(self) -> tuple[str, ...]:
        """The families that were asked, and the average."""
        return (*self.scores[self.encoders].families, AVERAGE)


def utilisation(masked: MaskedScores, encoder: str, column: str) -> float | None:
    """The share of the whole model's score, in percent, that is lost without the encoder; below 0 where it does harm.

    None where the whole model scores 0, so that there is nothing to lose.
    """
    whole = masked.score(masked.encoders, column)
    without = tuple(other for other in masked.encoders if other != encoder)
    return 100 * (whole - masked.score(without, column)) / whole if whole else None


def information_gap(masked: MaskedScores, column: str) -> float | None:
    """The largest utilisation minus the smallest, in percentage points; None where the whole model scores 0."""
    rates = [utilisation(masked, encoder, column) for encoder in masked.encoders]
    known = [rate for rate in rates if rate is not None]
    return max(known) - min(known) if known else None
