"""MMMU: id, question, options (a list, written out), answer, question_type, image_1 to image_7 (Yue et al. 2024).

As in the study's evaluation, the first picture alone is shown and its mark "<image 1>" is taken out of the text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from opabinia.evaluation.benchmarks.formats.building import multiple_choice, open_question
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import Question

_MARK = re.compile(r"\s*<image \d+>")
_PICTURES = tuple(f"image_{number}" for number in range(1, 8))


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, _PICTURES):
        yield _question(row)


def _question(row: Row) -> Question:
    id, question = row.text("id"), _MARK.sub("", row.text("question")).strip()
    # validation_Art_History_12 is of Art_History.
    task = id.partition("_")[2].rpartition("_")[0]
    if row.text("question_type") != "multiple-choice":
        answers = _listed(row, "answer")
        return open_question(
            row, "mmmu", id=id, question=question, answers=answers, image=row.needed_picture("image_1"), task=task
        )
    choices = [_MARK.sub("", choice).strip() or choice for choice in _listed(row, "options")]
    return multiple_choice(
        row,
        "mmmu",
        id=id,
        question=question,
        choices=choices,
        answer=row.letter(row.text("answer"), choices),
        image=row.needed_picture("image_1"),
        task=task,
    )


def _listed(row: Row, name: str) -> list[str]:
    """Several texts as Python writes a list of them; anything else is one text."""
    text = row.text(name)
    if not text.startswith("["):
        return [text]
    try:
        listed = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        raise row.wrong(f"{name} {text[:40]!r} is not a list; fetch the file again") from None
    return [str(each) for each in cast("list[object]", listed)]
