"""From JSON arrays to JSONL and back, one item in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from opabinia.data.preparation.json_text import json_line, parse_value
from opabinia.data.preparation.reading import RejectedLine, read_items
from opabinia.data.records import RecordError
from opabinia.storage.objects import whole_object


def json_to_jsonl(source: str | Path, target: str | Path) -> int:
    """Write each item of the array `source` as a line of `target`; how many there are.

    Both are addresses, and `source` may be compressed; one that is JSONL already is written anew. `target` appears whole or not at
    all. Raises ValueError, naming file and number, for anything that is not valid JSON: nothing is left out.
    """
    count = 0
    with whole_object(target) as handle:
        for line in _whole_lines(str(source)):
            handle.write(line)
            count += 1
    return count


def jsonl_to_json(source: str | Path, target: str | Path) -> int:
    """Write the lines of `source` as one array, an item a line, to `target`; otherwise like `json_to_jsonl`."""
    count = 0
    with whole_object(target) as handle:
        for line in _whole_lines(str(source)):
            handle.write((b",\n" if count else b"[\n") + line.removesuffix(b"\n"))
            count += 1
        handle.write(b"\n]\n" if count else b"[]\n")
    return count


def _whole_lines(file: str) -> Iterator[bytes]:
    for number, content in read_items(file):
        try:
            yield json_line(parse_value(_sound(content)))
        except RecordError as error:
            raise ValueError(f"{file}:{number}: {error}; repair it, nothing is left out in converting") from None


def _sound(content: bytes | RejectedLine) -> bytes:
    if isinstance(content, RejectedLine):
        raise RecordError(content.reason)
    return content
