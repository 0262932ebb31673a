"""Rows of a published file, one after another, without the bytes of their pictures."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from opabinia.evaluation.benchmarks.formats.parquet import open_parquet
from opabinia.evaluation.questions import LETTERS

TEXT_SUFFIXES = (".jsonl", ".tsv", ".csv")

_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file; `index` counts from 0. In parquet, a picture's cell holds everything but the bytes."""

    file: Path
    index: int
    cells: Mapping[str, Any]

    def wrong(self, reason: str) -> ValueError:
        """The error (not raised) that names file and row, counted from 1."""
        return ValueError(f"benchmark.files: {self.file} row {self.index + 1}: {reason}")

    def text(self, *names: str) -> str:
        """The first of the columns that is there, as text. Raises ValueError where it is empty or none is there."""
        value = self.optional(*names)
        if not value:
            raise self.wrong(f"{' or '.join(names)} is missing or empty; fetch the file again")
        return value

    def optional(self, *names: str) -> str:
        """The first of the columns that holds something, as text; "" where none does."""
        for name in names:
            value = self.cells.get(name)
            # Tables that went through pandas write a missing cell as "nan".
            if value is not None and (text := str(value).strip()) and text != "nan":
                return text
        return ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; a single text is a list of one. Raises ValueError where there is none."""
        value = self.cells.get(name)
        listed = cast("list[object]", value) if isinstance(value, list) else [value] if value else []
        texts = tuple(str(each).strip() for each in listed if each is not None)
        if not texts:
            raise self.wrong(f"{name} is missing or empty; fetch the file again")
        return texts

    def letter(self, text: str, choices: Sequence[str]) -> str:
        """ "B", "(b)" or "B." as "(B)". Raises ValueError where no such choice is offered."""
        letter = text.strip("() .").upper()
        if len(letter) != 1 or letter not in LETTERS[: len(choices)]:
            raise self.wrong(f"the answer is {text!r}, but the choices are (A) to ({LETTERS[len(choices) - 1]})")
        return f"({letter})"

    def numbered(self, text: str, choices: Sequence[str]) -> str:
        """ "0" as "(A)". Raises ValueError where no such choice is offered."""
        if not text.isdecimal() or int(text) >= len(choices):
            raise self.wrong(f"the answer is {text!r}, but the choices are 0 to {len(choices) - 1}")
        return f"({LETTERS[int(text)]})"

    def picture(self, column: str) -> str | None:
        """Where the picture is, for PublishedPictures: "file.parquet#17.image", or a path; None where the row has none."""
        value = self.cells.get(column)
        if value is None or value == "" or value == []:
            return None
        if isinstance(value, str) and self.file.suffix in TEXT_SUFFIXES and not _is_encoded(value):
            return str(self._path(value, column))
        return f"{self.file}#{self.index}.{column}"

    def needed_picture(self, column: str) -> str:
        """The same of a row that must have one. Raises ValueError otherwise."""
        picture = self.picture(column)
        if picture is None:
            raise self.wrong(f"{column} is missing or empty; fetch the file again")
        return picture

    def _path(self, value: str, column: str) -> Path:
        folder = self.file.parent.resolve()
        path = (folder / value).resolve()
        if not path.is_relative_to(folder):
            raise self.wrong(f"{column} {value!r} leaves the file's folder; give a path relative to it")
        if not path.is_file():
            raise self.wrong(f"{column} {path} does not exist; put the picture there")
        return path


def read_rows(file: Path, pictures: Sequence[str]) -> Iterator[Row]:
    """Every row in the file's order; `pictures` are the columns whose bytes are not read.

    Raises ValueError for a file that is missing, damaged or of another kind.
    """
    rows = _parquet_rows(file, pictures) if file.suffix == ".parquet" else _text_rows(file)
    for index, cells in enumerate(rows):
        yield Row(file, index, cells)


def rows_of(files: Sequence[Path], pictures: Sequence[str]) -> Iterator[Row]:
    """The rows of several files."""
    for file in files:
        yield from read_rows(file, pictures)


def column_names(file: Path) -> frozenset[str]:
    """The columns of a file, of a text file those of its first row."""
    if file.suffix == ".parquet":
        return frozenset(open_parquet(file).schema_arrow.names)
    return frozenset(next(_text_rows(file), dict[str, Any]()))


def _parquet_rows(file: Path, pictures: Sequence[str]) -> Iterator[dict[str, Any]]:
    opened = open_parquet(file)
    leaves = [str(opened.schema.column(place).path) for place in range(len(opened.schema))]
    for batch in opened.iter_batches(_ROWS_AT_A_TIME, columns=_without_bytes(leaves, pictures)):
        yield from cast("list[dict[str, Any]]", batch.to_pylist())


def _without_bytes(leaves: Sequence[str], pictures: Sequence[str]) -> list[str]:
    """The leaves of a picture's struct that are not its bytes; a picture that is nothing but bytes is read whole."""
    named = {leaf.split(".")[0] for leaf in leaves if leaf.endswith(".path")}
    return [leaf for leaf in leaves if not (leaf.endswith(".bytes") and leaf.split(".")[0] in {*pictures} & named)]


def _text_rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            if file.suffix == ".jsonl":
                yield from (_parsed(file, number, line) for number, line in enumerate(lines, start=1) if line.strip())
            elif file.suffix in TEXT_SUFFIXES:
                csv.field_size_limit(sys.maxsize)
                yield from csv.DictReader(lines, delimiter="\t" if file.suffix == ".tsv" else ",")
            else:
                raise ValueError(
                    f"benchmark.files: {file} is of no known kind; give .parquet, {', '.join(TEXT_SUFFIXES)}"
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"benchmark.files: {file} cannot be read ({error}); fetch it again") from None


def _parsed(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"benchmark.files: {file} row {number}: not valid JSON ({error.msg}); correct the line"
        ) from None
    if not isinstance(fields, dict):
        raise ValueError(f"benchmark.files: {file} row {number}: not a JSON object; correct the line")
    return cast("dict[str, Any]", fields)


def _is_encoded(value: str) -> bool:
    """Base64 text has no point in it; a path to a picture has one before its suffix."""
    return "." not in value
