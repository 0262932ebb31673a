"""TextVQA: question_id, question, answers of ten people, ocr_tokens, image (Singh et al. 2019).

As in the study's evaluation, what an OCR program read follows the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import open_question
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import Question

PEOPLE = 10


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        answers = row.texts("answers")
        if len(answers) != PEOPLE:
            raise row.wrong(f"{len(answers)} answers; take the validation split, which has {PEOPLE} of every question")
        yield open_question(
            row,
            "text_vqa",
            id=row.text("question_id"),
            question=_with_tokens(row),
            answers=answers,
            image=row.needed_picture("image"),
            scene=row.optional("image_id"),
        )


def _with_tokens(row: Row) -> str:
    question = row.text("question")
    question = question[0].upper() + question[1:]
    if not row.cells.get("ocr_tokens"):
        return question
    return f"{question}\nReference OCR token: {', '.join(row.texts('ocr_tokens'))}"
