"""The readers by the names that files have in the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path

from opabinia.evaluation.benchmarks.formats import (
    ai2d,
    chart_qa,
    cv_bench,
    doc_vqa,
    gqa,
    math_vista,
    mmbench,
    mme,
    mmmu,
    mmvp,
    ocr_bench,
    pope,
    real_world_qa,
    science_qa,
    seed,
    text_vqa,
)
from opabinia.evaluation.benchmarks.formats.rows import TEXT_SUFFIXES
from opabinia.evaluation.questions import Question

READERS: Mapping[str, Callable[[Sequence[Path]], Iterator[Question]]] = {
    "mme": mme.read,
    "mmbench": mmbench.read,
    "seed": seed.read,
    "gqa": gqa.read,
    "science_qa": science_qa.read,
    "mmmu": mmmu.read,
    "math_vista": math_vista.read,
    "ai2d": ai2d.read,
    "chart_qa": chart_qa.read,
    "ocr_bench": ocr_bench.read,
    "text_vqa": text_vqa.read,
    "doc_vqa": doc_vqa.read,
    "mmvp": mmvp.read,
    "real_world_qa": real_world_qa.read,
    "cv_bench": cv_bench.read,
    "pope": pope.read,
}

_SUFFIXES = (".parquet", *TEXT_SUFFIXES)


def published_questions(files: Mapping[str, str]) -> list[Question]:
    """Every question of every file, in the files' order; `files` as in BenchmarkConfig.

    A benchmark is never silently shortened: raises ValueError, naming file and row, for a malformed question, for a number that two
    questions of a benchmark share, and for a file that is missing or empty.
    """
    questions: list[Question] = []
    for name, place in files.items():
        read = list(READERS[name](_files(name, place)))
        if not read:
            raise ValueError(f"benchmark.files.{name}: {place} holds no questions; fetch it again")
        questions += read
    _refuse_repeated(questions)
    return questions


def _files(name: str, place: str) -> list[Path]:
    """The files of a folder or a pattern in the order of their names."""
    path = Path(place)
    found = [path] if path.is_file() else sorted(map(Path, glob(place)))
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not found:
        raise ValueError(f"benchmark.files.{name}: {place} does not exist or is empty; fetch it, or leave it out")
    return found


def _refuse_repeated(questions: Sequence[Question]) -> None:
    seen: set[tuple[str, str]] = set()
    for question in questions:
        key = (question.benchmark, question.id)
        if key in seen:
            raise ValueError(
                f"benchmark.files: {question.benchmark} holds question {question.id!r} twice; name each split once"
            )
        seen.add(key)
