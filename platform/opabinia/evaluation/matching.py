"""Which choice an answer in words means."""

from __future__ import annotations

import re

from opabinia.evaluation.normal_form import normalise
from opabinia.evaluation.questions import LETTERS, Question

SCORER = "choice-match-2"
"""Name and version of the rules in this module; stored with every score. Raise the version when a rule changes."""

_ANSWER_PREFIX = re.compile(
    r"^(?:the\s+)?(?:correct\s+|right\s+)?(?:answer|option|choice)\b(?:\s+is)?\s*[:=]?\s*", re.I
)
_ANSWER_MARK = re.compile(r"\banswer(?:\s+is)?\s*:\s*", re.I)
_LETTER_FORMS = (
    re.compile(r"^\(\s*([a-z])\s*\)[.:,]?\s*(.*)$", re.I),
    re.compile(r"^([a-z])\s*[).:](?:\s+(.*)|())$", re.I),
    re.compile(r"^([a-z])()$", re.I),
)


def is_correct(question: Question, answer_text: str) -> bool:
    """Whether the answer names the right choice, by its letter or its text; an open question compares the text."""
    if not question.choices:
        return normalise(last_answer(answer_text)) == normalise(question.answer)
    return picked_choice(answer_text, question.choices) == question.right_choice


def picked_choice(answer_text: str, choices: tuple[str, ...]) -> int | None:
    """Index of the choice that the answer means, or None where it means none or two that contradict each other.

    Read are "red circle", "Red circle.", "C", "(C)", "(c).", "C) red circle" and any of them after "answer:". A
    choice's own text goes before a bare letter, for choices that are letters themselves; "(C)" is always a letter.
    """
    line, answer = _last_line(answer_text), last_answer(answer_text)
    texts = [normalise(choice) for choice in choices]
    # The line as it stands goes first: a choice may itself begin with "the choice".
    for said in (line, answer):
        if not said.startswith("(") and normalise(said) in texts:
            return texts.index(normalise(said))
    for form in _LETTER_FORMS:
        if match := form.match(answer):
            return _agreeing_choice(match.group(1), normalise(match.group(2) or ""), texts)
    return texts.index(normalise(answer)) if normalise(answer) in texts else None


def _last_line(text: str) -> str:
    """The first line after the last "answer:"."""
    text = _ANSWER_MARK.split(text)[-1].strip()
    return text.splitlines()[0].strip() if text else ""


def last_answer(text: str) -> str:
    """The same without the words that introduce it."""
    line = _last_line(text)
    return _ANSWER_PREFIX.sub("", line, count=1) or line


def _agreeing_choice(letter: str, rest: str, texts: list[str]) -> int | None:
    index = LETTERS.index(letter.upper())
    if index >= len(texts):
        return None
    contradicted = rest in texts and texts.index(rest) != index
    return None if contradicted else index
