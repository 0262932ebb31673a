"""MME: question_id, image, question, answer (Yes, No), category; two questions to every picture (Fu et al. 2023)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import YES_NO, multiple_choice, yes_or_no
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import Question

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


def read(files: Sequence[Path]) -> Iterator[Question]:
    """Perception and cognition are scored apart. Raises ValueError for a picture with another number of questions than two."""
    asked: Counter[str] = Counter()
    for row in rows_of(files, ("image",)):
        question = _question(row, asked)
        asked[question.group] += 1
        yield question
    for picture, number in asked.items():
        if number != 2:
            raise ValueError(
                f"benchmark.files: {files[0]}: {picture} has {number} questions instead of 2; fetch it again"
            )


def _question(row: Row, asked: Counter[str]) -> Question:
    task, picture = row.text("category"), row.text("question_id")
    if task not in PERCEPTION and task not in COGNITION:
        raise row.wrong(f"category is {task!r}; it is none of MME's fourteen, fetch the file again")
    group = f"{task}/{picture}"
    return multiple_choice(
        row,
        "mme_perception" if task in PERCEPTION else "mme_cognition",
        id=f"{group}#{asked[group] + 1}",
        question=row.text("question"),
        choices=YES_NO,
        answer=yes_or_no(row, row.text("answer")),
        image=row.needed_picture("image"),
        task=task,
        group=group,
        scene=group,
    )
