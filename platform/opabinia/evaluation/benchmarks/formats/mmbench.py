"""MMBench: index, question, hint, A to E, answer, category, image (Liu et al. 2023).

The circular files ask a question once for every rotation of its choices; the index of a rotation is the first one's and a multiple of
a million. A question counts when all its rotations are answered rightly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import Question

_ROTATION = 1_000_000


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        yield _question(row)


def _question(row: Row) -> Question:
    index = row.text("index")
    if not index.isdecimal():
        raise row.wrong(f"index is {index!r}; it is a whole number, fetch the file again")
    choices = [text for letter in "ABCDE" if (text := row.optional(letter))]
    hint = row.optional("hint")
    return multiple_choice(
        row,
        "mmbench",
        id=index,
        question=f"{hint}\n{row.text('question')}" if hint else row.text("question"),
        choices=choices,
        answer=row.letter(row.text("answer"), choices),
        image=row.needed_picture("image"),
        task=row.optional("category"),
        source=row.optional("source"),
        group=str(int(index) % _ROTATION),
    )
