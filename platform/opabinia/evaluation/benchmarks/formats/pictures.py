"""Pictures out of published files, one at a time."""

from __future__ import annotations

import base64
import binascii
import io
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opabinia.evaluation.benchmarks.formats.parquet import open_parquet
from opabinia.evaluation.benchmarks.formats.rows import TEXT_SUFFIXES, read_rows
from opabinia.evaluation.pictures import OpenPicture, decoded, pictures_in

if TYPE_CHECKING:
    from PIL.Image import Image

    from opabinia.evaluation.questions import BenchmarkConfig

_IN_FILE = re.compile(r"(?P<file>.+)#(?P<row>\d+)\.(?P<column>[^#]+)")


def pictures_of(config: BenchmarkConfig) -> OpenPicture:
    """What opens the pictures that the benchmark's questions name."""
    return PublishedPictures() if config.files else pictures_in(Path(config.images))


@dataclass
class PublishedPictures:
    """Opens what Row.picture named. Asked in the order of the rows, it reads each row group of a parquet file once.

    Of one file, one row group of one column is held; of a text file with pictures in it, all of them, still encoded.
    """

    _column: tuple[str, str] = ("", "")
    _first: int = 0
    _cells: list[Any] | Any = field(default_factory=list[Any])

    def __call__(self, name: str) -> Image:
        """Raises ValueError naming the picture that cannot be read."""
        found = _IN_FILE.fullmatch(name)
        if not found:
            return decoded(Path(name), name)
        cell = self._cell(found["file"], int(found["row"]), found["column"])
        return decoded(io.BytesIO(_bytes(cell, name)), name)

    def _cell(self, file: str, row: int, column: str) -> Any:
        if self._column != (file, column) or not self._first <= row < self._first + len(self._cells):
            self._column = (file, column)
            if Path(file).suffix in TEXT_SUFFIXES:
                self._first, self._cells = 0, [each.cells.get(column) for each in read_rows(Path(file), ())]
            else:
                self._first, self._cells = _row_group(file, row, column)
        cell = self._cells[row - self._first]
        return cell if isinstance(self._cells, list) else cell.as_py()


def _row_group(file: str, row: int, column: str) -> tuple[int, Any]:
    """The first row of the group that holds `row`, and the group's column, not yet turned into Python's objects."""
    opened = open_parquet(Path(file))
    sizes = (opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups))
    starts = [0, *accumulate(cast("Iterator[int]", sizes))]
    group = bisect_right(starts, row) - 1
    return starts[group], opened.read_row_group(group, columns=[column]).column(column)


def _bytes(cell: Any, name: str) -> bytes:
    """A picture is {"bytes", "path"}, a list of such, bytes, or base64 text."""
    if isinstance(cell, list):
        cell = cast("list[Any]", cell)[0]
    if isinstance(cell, dict):
        cell = cast("dict[str, Any]", cell).get("bytes")
    if isinstance(cell, str):
        try:
            return base64.b64decode(cell.rpartition(",")[2], validate=True)
        except binascii.Error:
            cell = None
    if not isinstance(cell, bytes):
        raise ValueError(f"benchmark.files: {name} holds no picture; fetch the file with its pictures in it")
    return cell
