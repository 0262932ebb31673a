"""CV-Bench: idx, type (2D, 3D), task, image, question, choices, answer "(C)", source (Tong et al. 2024, §3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import VISION_CENTRIC_TYPES, Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    """Either half alone is read too."""
    for row in rows_of(files, ("image",)):
        yield _question(row)


def _question(row: Row) -> Question:
    kind, choices = row.text("type"), row.texts("choices")
    if kind not in VISION_CENTRIC_TYPES:
        raise row.wrong(f"type is {kind!r}; it is 2D or 3D, fetch the file again")
    return multiple_choice(
        row,
        f"cv_bench_{kind.lower()}",
        id=row.text("idx"),
        question=row.text("question"),
        choices=choices,
        answer=row.letter(row.text("answer"), choices),
        image=row.needed_picture("image"),
        task=row.text("task"),
        type=kind,
        source=row.text("source"),
        scene=row.optional("source_filename", "filename"),
    )
