"""DocVQA: questionId, question, question_types, answers, image (Mathew et al. 2021).

The answers of the test split are kept back; the study's column came from the challenge's server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import open_question
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        if not row.cells.get("answers"):
            raise row.wrong(
                "answers is missing or empty; take the validation split, those of the test split are secret"
            )
        yield open_question(
            row,
            "doc_vqa",
            id=row.text("questionId"),
            question=row.text("question"),
            answers=row.texts("answers"),
            image=row.needed_picture("image"),
            scene=row.optional("docId"),
        )
