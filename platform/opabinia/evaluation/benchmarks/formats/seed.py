"""SEED-Bench: question_id, question, choice_a to choice_d, answer "A", data_type, question_type_id, image (Li et al. 2023).

The column of the study is of the questions on images; those on video are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        if row.text("data_type") != "image":
            continue
        choices = [row.text(f"choice_{letter}") for letter in "abcd"]
        yield multiple_choice(
            row,
            "seed_image",
            id=row.text("question_id"),
            question=row.text("question"),
            choices=choices,
            answer=row.letter(row.text("answer"), choices),
            image=row.needed_picture("image"),
            task=row.optional("question_type_id"),
            scene=row.texts("data_id")[0] if row.cells.get("data_id") else "",
        )
