"""The answer is one of the right ones, apart from case, spaces and punctuation (GQA)."""

from __future__ import annotations

from opabinia.evaluation.matching import last_answer
from opabinia.evaluation.normal_form import normalise
from opabinia.evaluation.questions import Question


def credit(question: Question, answer: str) -> float:
    """1 or 0."""
    said = normalise(last_answer(answer))
    return float(any(said == normalise(right) for right in question.answers))
