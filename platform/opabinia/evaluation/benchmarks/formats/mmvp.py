"""MMVP: Index, Question, Options "(a) Open (b) Closed", Correct Answer "(a)", image (Tong et al. 2024, "Eyes Wide Shut").

Consecutive questions are a pair: the same question of two pictures that CLIP cannot tell apart. As published, a table of text stands
beside the folder "MMVP Images"; copies in parquet hold the pictures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import multiple_choice
from opabinia.evaluation.benchmarks.formats.rows import Row, rows_of
from opabinia.evaluation.questions import Question

_OPTION = re.compile(r"\([a-z]\)\s*")
_FOLDER = "MMVP Images"


def read(files: Sequence[Path]) -> Iterator[Question]:
    """Raises ValueError where a pair is not whole."""
    pairs: Counter[str] = Counter()
    for row in rows_of(files, ("image",)):
        question = _question(row)
        pairs[question.group] += 1
        yield question
    for pair, number in pairs.items():
        if number != 2:
            raise ValueError(
                f"benchmark.files: {files[0]}: pair {pair} has {number} questions instead of 2; fetch it again"
            )


def _question(row: Row) -> Question:
    index = row.text("Index", "index", "question_id")
    if not index.isdecimal() or not int(index):
        raise row.wrong(f"Index is {index!r}; it is a whole number from 1, fetch the file again")
    choices = [choice.strip() for choice in _OPTION.split(row.text("Options", "options"))[1:]]
    return multiple_choice(
        row,
        "mmvp",
        id=index,
        question=row.text("Question", "question"),
        choices=choices,
        answer=row.letter(row.text("Correct Answer", "answer"), choices),
        image=row.picture("image") or _beside(row, index),
        group=str((int(index) + 1) // 2),
    )


def _beside(row: Row, index: str) -> str:
    path = row.file.parent / _FOLDER / f"{index}.jpg"
    if not path.is_file():
        raise row.wrong(f"{path} does not exist; put the folder {_FOLDER!r} beside the table")
    return str(path)
