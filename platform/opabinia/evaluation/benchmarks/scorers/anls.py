"""Average normalised Levenshtein similarity (DocVQA: Mathew et al. 2021, §5; Biten et al. 2019)."""

from __future__ import annotations

from opabinia.evaluation.questions import Question

THRESHOLD = 0.5
"""An answer less like the right one than this earns nothing."""


def credit(question: Question, answer: str) -> float:
    """From 0 to 1: the most similar of the right answers counts; case and runs of spaces do not."""
    said = _folded(answer)
    best = max((similarity(said, _folded(right)) for right in question.answers), default=0.0)
    return best if best >= THRESHOLD else 0.0


def similarity(one: str, other: str) -> float:
    """1 − edits / length of the longer text."""
    longest = max(len(one), len(other))
    return 1 - _edits(one, other) / longest if longest else 1.0


def _edits(one: str, other: str) -> int:
    """Levenshtein's distance: insertions, deletions and replacements of one character."""
    row = list(range(len(other) + 1))
    for line, letter in enumerate(one, start=1):
        diagonal, row[0] = row[0], line
        for place, against in enumerate(other, start=1):
            replaced = diagonal + (letter != against)
            diagonal = row[place]
            row[place] = min(replaced, row[place] + 1, row[place - 1] + 1)
    return row[-1]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
