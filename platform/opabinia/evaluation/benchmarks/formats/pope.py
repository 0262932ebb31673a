"""POPE: question_id, image, question, answer (yes, no), category (adversarial, popular, random) (Li et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import YES_NO, multiple_choice, yes_or_no
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        category = row.optional("category")
        yield multiple_choice(
            row,
            "pope",
            # The hub's question_id starts again in every category.
            id=f"{category}/{row.text('question_id', 'id')}",
            question=row.text("question"),
            choices=YES_NO,
            answer=yes_or_no(row, row.text("answer")),
            image=row.needed_picture("image"),
            task=category,
            scene=row.optional("image_source"),
        )
