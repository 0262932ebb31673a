"""The answer contains a right one (OCRBench: Liu et al. 2024)."""

from __future__ import annotations

from opabinia.evaluation.questions import Question

FORMULAS = "HME100k"
"""The source whose answers are formulas: there case matters and spaces do not."""


def credit(question: Question, answer: str) -> float:
    """1 or 0."""
    fold = _formula if question.source == FORMULAS else _text
    said = fold(answer)
    return float(any(fold(right) in said for right in question.answers))


def _text(text: str) -> str:
    return text.casefold().strip().replace("\n", " ")


def _formula(text: str) -> str:
    return text.strip().replace("\n", "").replace(" ", "")
