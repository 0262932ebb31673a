"""JSONL shards: reading them line by line, writing them whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from opabinia.storage.atomic import whole_folder
from opabinia.storage.objects import open_read


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a shard: its number from 1, its first byte, its bytes with the newline, and its text."""

    number: int
    offset: int
    size: int
    text: str


def read_lines(address: str | Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of every line that is not blank, of a file wherever it may be. Raises ValueError as `open_read` does.

    Bytes that are not UTF-8 come through as lone surrogates, so that `parse_record` can refuse the line.
    """
    return ((line.number, line.text) for line in placed_lines(address))


def placed_lines(address: str | Path) -> Iterator[Line]:
    """Like `read_lines`, each with its bytes' place in the file."""
    offset = 0
    # Binary: only "\n" ends a JSONL line, while text mode would also break at a lone carriage return.
    with open_read(address) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield Line(number, offset, len(line), line_text(line))
            offset += len(line)


def line_text(line: bytes) -> str:
    """The text of a line as `read_lines` gives it."""
    return line.decode("utf-8", errors="surrogateescape")


def write_shards(records: Iterable[Mapping[str, Any]], folder: Path, shard_size: int) -> list[Path]:
    """Write LLaVA-format records as part-00000.jsonl, part-00001.jsonl, …, `shard_size` records each.

    The folder appears whole or not at all. Raises ValueError when it exists already or when there is no record.
    """
    if shard_size < 1:
        raise ValueError(f"shard_size: expected at least 1, got {shard_size}")
    folder = Path(folder)
    with whole_folder(folder) as unfinished:
        names = [_write_shard(unfinished, index, chunk) for index, chunk in enumerate(_chunks(records, shard_size))]
        if not names:
            raise ValueError(f"{folder}: no records to write; an empty data set is refused")
    return [folder / name for name in names]


def _chunks(records: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    rest = iter(records)
    while chunk := list(islice(rest, size)):
        yield chunk


def _write_shard(folder: Path, index: int, records: list[Mapping[str, Any]]) -> str:
    name = f"part-{index:05d}.jsonl"
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (folder / name).write_bytes("".join(lines).encode("utf-8"))
    return name
