"""MathVista: pid, question, choices, answer, unit, question_type, decoded_image (Lu et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice, open_question
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import LETTERS, Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("decoded_image",)):
        yield _question(row)


def _question(row: Row) -> Question:
    """`image` is the picture's path in an archive; the picture itself stands in `decoded_image`."""
    unit = row.optional("unit")
    question = f"{row.text('question')} (Unit: {unit})" if unit else row.text("question")
    picture = row.picture("decoded_image") or row.needed_picture("image")
    if not row.cells.get("choices"):
        return open_question(
            row, "math_vista", id=row.text("pid"), question=question, answers=(row.text("answer"),), image=picture
        )
    choices, answer = row.texts("choices"), row.text("answer")
    if answer not in choices:
        raise row.wrong(f"the answer {answer!r} is none of the choices; fetch the file again")
    return multiple_choice(
        row,
        "math_vista",
        id=row.text("pid"),
        question=question,
        choices=choices,
        answer=f"({LETTERS[choices.index(answer)]})",
        image=picture,
    )
