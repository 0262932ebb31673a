"""ChartQA: type (human_test, augmented_test), question, answer, image (Masry et al. 2022)."""

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
            "chart_qa",
            # The questions have no numbers of their own.
            id=f"{row.file.stem}/{row.index}",
            question=row.text("question"),
            answers=(row.text("answer"),),
            image=row.needed_picture("image"),
            task=row.optional("type"),
        )
