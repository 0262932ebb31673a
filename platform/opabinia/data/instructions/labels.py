"""Answers that are lines of text with labels or numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from opabinia.data.instructions.json_answers import Kind, Labelled, kind_of

_MARKS = r"[\s>#*_\-•]*"
# "A." and "A)" are choices of a question, so a single letter needs a colon or a number.
_LABEL = re.compile(
    rf"^{_MARKS}(?:(?P<before>\d+)\s*[.):]\s*[*_]*\s*)?"
    r"(?:(?P<word>question|answer|description|findings|report)(?:[\s*_#]*(?P<number>\d+))?(?:[\s*_]*(?:[:.)]|\s[-–])|[\s*_]*$)"
    r"|(?P<letter>[qa])[\s*_]*(?:(?P<count>\d+)[\s*_]*[:.)]|:))"
    r"[*_]*\s*(?P<text>.*)$",
    re.IGNORECASE,
)
_HEADING = re.compile(rf"^{_MARKS}(?P<kind>question|answer)s[*_\s]*:?[*_\s]*$", re.IGNORECASE)
_NUMBERED = re.compile(rf"^{_MARKS}\(?(?P<number>\d+)[.)][*_]*\s+(?P<text>.*)$")
_RULE = re.compile(r"^\s*([-*_=])\1{2,}\s*$")


@dataclass(slots=True)
class _Reading:
    """The parts so far. section: what numbered lines are, below a heading. bare: questions have numbers and no labels."""

    parts: list[tuple[Kind, int | None, list[str]]] = field(default_factory=list[tuple[Kind, int | None, list[str]]])
    section: Kind | None = None
    bare: bool = False

    def begin(self, kind: Kind, number: int | None, text: str) -> None:
        self.parts.append((kind, number, [text]))

    @property
    def last_question(self) -> int | None:
        return next((number for kind, number, _ in reversed(self.parts) if kind == "question"), None)


def labelled_lines(text: str) -> list[Labelled]:
    """The labelled or numbered parts of a text; lines before the first are an introduction and left out."""
    reading = _Reading()
    for line in text.splitlines():
        _read(line, reading)
    return [Labelled(kind, number, "\n".join(lines).strip()) for kind, number, lines in reading.parts]


def _read(line: str, reading: _Reading) -> None:
    if _RULE.match(line):
        return
    if heading := _HEADING.match(line):
        reading.section = kind_of(heading["kind"])
    elif label := _LABEL.match(line):
        _read_label(label, reading)
    elif (numbered := _NUMBERED.match(line)) and (kind := _numbered_kind(int(numbered["number"]), reading)):
        reading.begin(kind, int(numbered["number"]), numbered["text"])
    elif reading.parts:
        reading.parts[-1][2].append(line)


def _read_label(label: re.Match[str], reading: _Reading) -> None:
    kind = kind_of(label["word"] or label["letter"])
    number = label["number"] or label["count"] or label["before"]
    found = int(number) if number else None
    # "1. Which?" with "Answer: …" below it: the answer is the question's.
    if kind == "answer" and found is None and reading.bare:
        found = reading.last_question
    reading.begin(kind, found, label["text"])


def _numbered_kind(number: int, reading: _Reading) -> Kind | None:
    """What a numbered line without a label begins; None when it belongs to a list inside the text before it."""
    if reading.section is not None:
        return reading.section
    if not any(kind == "question" for kind, _, _ in reading.parts):
        reading.bare = number == 1
        return "question" if reading.bare else None
    return "question" if reading.bare and number == (reading.last_question or 0) + 1 else None
