"""Relaxed accuracy: a number may be off by 5 % of the right one, text may not (ChartQA: Masry et al. 2022, §5.1)."""

from __future__ import annotations

import math

from opabinia.evaluation.matching import last_answer
from opabinia.evaluation.normal_form import normalise
from opabinia.evaluation.questions import Question

TOLERANCE = 0.05
"""Of the right number's absolute value."""


def credit(question: Question, answer: str) -> float:
    """1 or 0, by the most favourable of the right answers."""
    said = last_answer(answer).removesuffix(".")
    return float(any(_agrees(said, right) for right in question.answers))


def _agrees(said: str, right: str) -> bool:
    number, target = _number(said), _number(right)
    if number is None or target is None:
        return normalise(said) == normalise(right)
    # The published rule compares a right 0 as text, where "0.0" would be wrong; here it must be 0 as a number.
    return abs(number - target) <= TOLERANCE * abs(target) + 1e-12


def _number(text: str) -> float | None:
    """Percentages are fractions: "45%" is 0.45."""
    digits = text.strip().replace(",", "")
    try:
        value = float(digits.removesuffix("%"))
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return value / 100 if digits.endswith("%") else value
