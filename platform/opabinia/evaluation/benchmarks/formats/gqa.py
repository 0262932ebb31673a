"""GQA: id, imageId, question, answer; the pictures stand in files of their own: id, image (Hudson and Manning 2019).

Both kinds of files are given together (a folder or a pattern), or the questions hold their pictures themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from opabinia.evaluation.benchmarks.formats.building import open_question
from opabinia.evaluation.benchmarks.formats.rows import Row, column_names, rows_of
from opabinia.evaluation.questions import Question


def read(files: Sequence[Path]) -> Iterator[Question]:
    with_questions = [file for file in files if "question" in column_names(file)]
    if not with_questions:
        raise ValueError(
            f"benchmark.files: {files[0]} holds no column question; give GQA's instructions beside its images"
        )
    with_pictures = [file for file in files if file not in with_questions]
    pictures = {row.text("id"): row.needed_picture("image") for row in rows_of(with_pictures, ("image",))}
    for row in rows_of(with_questions, ("image",)):
        yield open_question(
            row,
            "gqa",
            id=row.text("id"),
            question=row.text("question"),
            answers=(row.text("answer"),),
            image=row.picture("image") or _picture(row, pictures),
        )


def _picture(row: Row, pictures: Mapping[str, str]) -> str:
    name = row.text("imageId")
    if name not in pictures:
        raise row.wrong(f"picture {name!r} is in none of the files; give the files of pictures too")
    return pictures[name]
