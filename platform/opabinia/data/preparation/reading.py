"""Reading LLaVA-format files as they are published: JSON arrays and JSONL, compressed or not, local or in a bucket."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from opabinia.data.preparation.compression import open_plain
from opabinia.data.preparation.json_arrays import array_items
from opabinia.data.preparation.json_text import parse_object
from opabinia.data.records import RecordError
from opabinia.storage.folders import list_files

MAX_RECORD_BYTES = 1 << 26
"""A longer line or item is not a record but a quote or newline that is missing."""

_BOM = b"\xef\xbb\xbf"
_DATA_FILE = re.compile(r".*\.jsonl?(\.(gz|gzip|zst|zstd))?", re.IGNORECASE | re.DOTALL)
_EXCERPT = 200


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """What is no record: why, in one line, and how it begins."""

    reason: str
    excerpt: str


FoundRecord: TypeAlias = tuple[str, int, dict[str, Any] | RejectedLine]
"""The file, the number (from 1) of the line in JSONL or of the item in an array, and what stands there."""


def find_files(addresses: Iterable[str | Path]) -> list[str]:
    """The data files that the addresses mean: files themselves, patterns, and folders, of which *.json and *.jsonl (.gz, .zst) count.

    Each once, in the order of the addresses and sorted within each. Raises ValueError where an address means none.
    """
    return list(dict.fromkeys(file for address in addresses for file in _find(str(address))))


def read_records(addresses: Iterable[str | Path]) -> Iterator[FoundRecord]:
    """Every record of the files that `find_files` gives, one in memory at a time; what is no JSON object comes as RejectedLine.

    Nothing is asked of the fields of a record. Raises ValueError when there are no files, and while reading when one is damaged as a
    whole: compressed data or an array that end early.
    """
    return (found for file in find_files(addresses) for found in read_file(file))


def read_file(file: str) -> Iterator[FoundRecord]:
    """Like `read_records`, of one file by its name, which is no pattern."""
    for number, content in read_items(file):
        yield file, number, content if isinstance(content, RejectedLine) else _parse(content)


def read_items(file: str) -> Iterator[tuple[int, bytes | RejectedLine]]:
    """The bytes of each line that is not blank, or of each item where the file holds an array, with its number from 1.

    Raises ValueError as `read_records` does.
    """
    with open_plain(file) as stream:
        beginning = stream.peek(1)
        if beginning.startswith(_BOM):
            stream.read(len(_BOM))
        if beginning.removeprefix(_BOM).lstrip().startswith(b"["):
            yield from enumerate(array_items(stream, file, MAX_RECORD_BYTES), start=1)
        else:
            yield from _lines(stream)


def _find(address: str) -> list[str]:
    found = list_files(address)
    if found != [address]:
        found = [file for file in found if _DATA_FILE.fullmatch(file)]
    if not found:
        raise ValueError(f"{address}: there is no such file, and no *.json or *.jsonl below it; correct the address")
    return found


def _parse(content: bytes) -> dict[str, Any] | RejectedLine:
    try:
        return parse_object(content)
    except RecordError as error:
        return RejectedLine(str(error), _excerpt(content))


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes | RejectedLine]]:
    number = 0
    # Only "\n" ends a JSONL line.
    while line := stream.readline(MAX_RECORD_BYTES):
        number += 1
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, RejectedLine(f"longer than {MAX_RECORD_BYTES:,} bytes", _excerpt(line))
        elif line.strip():
            yield number, line


def _skip_line(stream: io.BufferedReader) -> None:
    while (rest := stream.readline(MAX_RECORD_BYTES)) and not rest.endswith(b"\n"):
        pass


def _excerpt(content: bytes) -> str:
    return content[: 4 * _EXCERPT].decode("utf-8", errors="replace").strip()[:_EXCERPT]
