"""RealWorldQA: image, question, answer (xAI 2024). The question's text holds its choices and says how to answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import YES_NO, multiple_choice, open_question, yes_or_no
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import LETTERS, Question

_CHOICE = re.compile(r"^([A-Z])\.\s+(.+)$", re.MULTILINE)


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        yield _question(row)


def _question(row: Row) -> Question:
    id, question, answer = f"{row.file.stem}/{row.index}", row.text("question"), row.text("answer")
    picture = row.needed_picture("image")
    choices = _choices(question)
    if choices:
        letter = row.letter(answer, choices)
        return multiple_choice(
            row, "real_world_qa", id=id, question=question, choices=choices, answer=letter, image=picture
        )
    if answer.casefold() in ("yes", "no"):
        letter = yes_or_no(row, answer)
        return multiple_choice(
            row, "real_world_qa", id=id, question=question, choices=YES_NO, answer=letter, image=picture
        )
    return open_question(row, "real_world_qa", id=id, question=question, answers=(answer,), image=picture)


def _choices(question: str) -> list[str]:
    """The lines "A. …", "B. …" in their order; none where they do not begin with A and go on without a gap."""
    found = _CHOICE.findall(question)
    in_order = len(found) > 1 and "".join(letter for letter, _ in found) == LETTERS[: len(found)]
    return [text.strip() for _, text in found] if in_order else []
