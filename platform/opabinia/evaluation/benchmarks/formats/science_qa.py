"""ScienceQA: image, question, choices, answer (0-based), hint, subject (Lu et al. 2022).

The column of the study is of questions with an image; the others are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    for row in rows_of(files, ("image",)):
        picture = row.picture("image")
        if picture is None:
            continue
        hint, choices = row.optional("hint"), row.texts("choices")
        yield multiple_choice(
            row,
            "science_qa_image",
            # The questions have no numbers of their own.
            id=f"{row.file.stem}/{row.index}",
            question=f"Context: {hint}\n{row.text('question')}" if hint else row.text("question"),
            choices=choices,
            answer=row.numbered(row.text("answer"), choices),
            image=picture,
            task=row.optional("subject"),
        )
