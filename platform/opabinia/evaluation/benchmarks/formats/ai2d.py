"""AI2D: question, options, answer (0-based, as text), image (Kembhavi et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        choices = row.texts("options")
        yield multiple_choice(
            row,
            "ai2d",
            # The questions have no numbers of their own.
            id=f"{row.file.stem}/{row.index}",
            question=row.text("question"),
            choices=choices,
            answer=row.numbered(row.text("answer"), choices),
            image=row.needed_picture("image"),
        )
