"""How long answers are: what the study of "answer machines" looks at (Tong et al. 2024, §5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.evaluation.evaluate import Judged


@dataclass(frozen=True, slots=True)
class AnswerLength:
    """`words`: mean number of words, split at spaces; `one_word`: percent of answers of a single word; `empty`: of none."""

    words: float
    one_word: float
    empty: float


def answer_length(answers: Sequence[Judged]) -> AnswerLength:
    """Raises ValueError where there are no answers."""
    if not answers:
        raise ValueError("answers: there are none to measure; ask at least one question")
    counts = [len(mark.answer.split()) for mark in answers]
    return AnswerLength(
        words=fmean(counts),
        one_word=100 * fmean(count == 1 for count in counts),
        empty=100 * fmean(count == 0 for count in counts),
    )
