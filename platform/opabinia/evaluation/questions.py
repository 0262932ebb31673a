"""Benchmark questions, in CV-Bench's record fields: one JSONL file a family."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pydantic import Field, field_validator

from opabinia.config import Config
from opabinia.data.records import PLACEHOLDER
from opabinia.evaluation.benchmarks.catalogue import FILES
from opabinia.evaluation.normal_form import normalise
from opabinia.evaluation.prompt_kinds import PROMPT_KINDS
from opabinia.evaluation.subset import spread_over_tasks
from opabinia.names import unknown

FAMILIES: tuple[str, ...] = ("general", "knowledge", "ocr_chart", "vision_centric")
"""The four families of the Cambrian study (Tong et al. 2024), in the order of its tables."""

VISION_FAMILIES: tuple[str, ...] = ("general", "ocr_chart", "vision_centric")
"""The families whose questions need the image; knowledge can often be answered without it."""

VISION_CENTRIC_TYPES = ("2D", "3D")

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class BenchmarkConfig(Config):
    """Which held-out questions score a trial, and how they are asked."""

    folder: str = Field(min_length=1)
    """Folder that holds <family>.jsonl for every family below."""

    images: str = Field(min_length=1)
    """Folder that the questions' image paths are relative to."""

    families: tuple[str, ...] = Field(default=FAMILIES, min_length=1)
    """Families to score."""

    files: dict[str, str] = Field(default_factory=dict[str, str])
    """Published benchmarks to score in place of the folder's families: name -> file, folder of files, or pattern ("data/*.parquet")."""

    limit_per_family: int | None = Field(default=None, gt=0)
    """Questions asked of each family, or of each published benchmark, evenly spread over its tasks; null asks all."""

    prompt: str | None = None
    """How a question is asked: text (the question alone), letter (the options follow and a letter is asked for), word, short, …;
    null is text for the families, and for a published benchmark the kind that it is scored with in the study."""

    batch: int = Field(default=32, gt=0)
    """Questions answered at a time."""

    max_new_tokens: int = Field(default=16, gt=0)
    """Longest answer, in tokens."""

    @field_validator("families")
    @classmethod
    def _known_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        for index, family in enumerate(families):
            if family not in FAMILIES:
                raise unknown("benchmark family", family, FAMILIES, place=f"benchmark.families.{index}")
        if len(set(families)) < len(families):
            raise ValueError("benchmark.families: a family is named twice; name each once")
        return families

    @field_validator("files")
    @classmethod
    def _known_files(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if name not in FILES:
                raise unknown("published benchmark", name, FILES, place=f"benchmark.files.{name}")
        return files

    @field_validator("prompt")
    @classmethod
    def _known_prompt(cls, prompt: str | None) -> str | None:
        if prompt is not None and prompt not in PROMPT_KINDS:
            raise unknown("prompt kind", prompt, PROMPT_KINDS, place="benchmark.prompt")
        return prompt


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `answer` is "(B)" where there are choices, else the text itself; `image` is relative or None.

    Of a published benchmark, `benchmark` names it, `answers` are all the right answers to an open question, `group` joins questions
    that count only together, `image` says where in which file the picture is, and `scene` is one name for all copies of a picture, or
    pictures of one original, where the file tells.
    """

    id: str
    family: str
    task: str
    type: str
    image: str | None
    question: str
    choices: tuple[str, ...]
    answer: str
    source: str
    benchmark: str = ""
    answers: tuple[str, ...] = ()
    group: str = ""
    scene: str = ""

    @property
    def right_choice(self) -> int | None:
        """Index of the right choice, or None where the question is open."""
        return LETTERS.index(self.answer[1]) if self.choices else None

    @property
    def right_text(self) -> str:
        """The right answer in words."""
        return self.choices[LETTERS.index(self.answer[1])] if self.choices else self.answer


def load_questions(config: BenchmarkConfig) -> list[Question]:
    """Read every family's questions, in file order, cut to the limit.

    A benchmark is never silently shortened, since its scores would no longer compare: raises ValueError, naming file
    and line, for a malformed question or a missing image, and naming the field for a missing or empty file.
    """
    questions: list[Question] = []
    for family in config.families:
        asked = _read_family(Path(config.folder) / f"{family}.jsonl", family, Path(config.images))
        questions += asked if config.limit_per_family is None else spread_over_tasks(asked, config.limit_per_family)
    return questions


def _read_family(path: Path, family: str, images: Path) -> list[Question]:
    if not path.is_file():
        raise ValueError(f"benchmark.folder: {path} does not exist; write the benchmark first or leave out {family!r}")
    questions: list[Question] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                questions.append(_parse_question(line, family, images))
            except ValueError as error:
                raise ValueError(f"benchmark.folder: {path} line {number}: {error}") from None
    if not questions:
        raise ValueError(f"benchmark.folder: {path} holds no questions; write the benchmark first")
    _refuse_repeated_ids(questions, path)
    return questions


def _refuse_repeated_ids(questions: list[Question], path: Path) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise ValueError(f"benchmark.folder: {path} holds idx {question.id!r} twice; number each question once")
        seen.add(question.id)


def _parse_question(line: str, family: str, images: Path) -> Question:
    fields = _parse_object(line)
    if fields.get("family", family) != family:
        raise ValueError(f"family is {fields['family']!r}, but the file is {family}.jsonl")
    choices = _parse_choices(fields.get("choices"))
    question = Question(
        id=str(fields.get("idx", "")),
        family=family,
        task=_text(fields, "task"),
        type=str(fields.get("type", "")),
        image=_parse_image(fields.get("image"), images),
        question=_text(fields, "question"),
        choices=choices,
        answer=_parse_answer(_text(fields, "answer"), choices),
        source=str(fields.get("source") or "unknown"),
    )
    if PLACEHOLDER in question.question:
        raise ValueError(f"question holds {PLACEHOLDER}; leave it out, it is added where there is an image")
    if not question.id:
        raise ValueError("idx is missing; number each question")
    if family == "vision_centric" and question.type not in VISION_CENTRIC_TYPES:
        raise ValueError(f"type is {question.type!r}; a vision_centric question is 2D or 3D")
    return question


def _parse_object(line: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"expected a JSON object, got {type(fields).__name__}")
    return cast("dict[str, Any]", fields)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is missing or not text")
    return value


def _parse_choices(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"choices must be a list, got {type(value).__name__}")
    choices = tuple(str(choice) for choice in cast("list[object]", value))
    if len(choices) == 1 or len(choices) > len(LETTERS):
        raise ValueError(f"{len(choices)} choices; offer 2 to {len(LETTERS)}, or none for an open question")
    if len({normalise(choice) for choice in choices}) < len(choices):
        raise ValueError(f"choices {list(choices)} repeat; each must differ in more than case and punctuation")
    return choices


def _parse_answer(answer: str, choices: tuple[str, ...]) -> str:
    if not choices:
        return answer.strip()
    letters = LETTERS[: len(choices)]
    if not re.fullmatch(rf"\([{letters}]\)", answer.strip()):
        raise ValueError(f"answer is {answer!r}; for {len(choices)} choices it is one of (A) to ({letters[-1]})")
    return answer.strip()


def _parse_image(value: object, images: Path) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"image must be one path, got {type(value).__name__}")
    relative = PurePosixPath(value)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"image path {value!r} leaves the images folder")
    if not (images / relative).is_file():
        raise ValueError(f"image {images / relative} does not exist; correct benchmark.images or the record")
    return value
