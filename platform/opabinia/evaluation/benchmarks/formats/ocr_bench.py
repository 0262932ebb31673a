"""OCRBench: dataset, question, question_type, answer (a list), image (Liu et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import open_question
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        yield open_question(
            row,
            "ocr_bench",
            # The questions have no numbers of their own.
            id=f"{row.file.stem}/{row.index}",
            question=row.text("question"),
            answers=row.texts("answer"),
            image=row.needed_picture("image"),
            task=row.optional("question_type"),
            source=row.optional("dataset"),
        )
