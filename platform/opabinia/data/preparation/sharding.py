"""Writing records as a prepared data set: shards of equal length, and their index."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from opabinia.data.preparation.index import INDEX_NAME, IndexWriter, Place, index_row, shard_name
from opabinia.data.preparation.json_text import json_line
from opabinia.data.preparation.reading import RejectedLine
from opabinia.data.preparation.settings import ShardingConfig
from opabinia.data.records import RecordError
from opabinia.storage.atomic import whole_folder, whole_text

UNREADABLE_NAME = "unreadable.ndjson"
"""What could not be written, an object {file, line, reason, excerpt} a line; not *.jsonl, so that nobody takes it for a shard."""

GivenRecord: TypeAlias = Mapping[str, Any] | tuple[str | None, int | None, Mapping[str, Any] | RejectedLine]
"""A record alone, or with the file and line that it was read from, as `read_records` and `read_placed_rows` give it."""

_Line: TypeAlias = tuple[Place, Mapping[str, Any], bytes]


def write_prepared(records: Iterable[GivenRecord], folder: str | Path, settings: ShardingConfig) -> Path:
    """Write records as part-00000.jsonl, … and index.arrow into the new folder `folder`; the path of the index.

    Lines that are no JSON object, or that JSON cannot hold, go to UNREADABLE_NAME. The folder appears whole or not at all; one shard's
    rows of the index are held. Raises ValueError when the folder exists, or when there is no record to write.
    """
    final = Path(folder)
    with whole_folder(final) as unfinished:
        with whole_text(unfinished / UNREADABLE_NAME) as unreadable:
            index = IndexWriter(unfinished)
            lines = _written(records, unreadable.write)
            shards = 0
            while rows := _write_shard(unfinished, shards, islice(lines, settings.shard_size)):
                index.write_shard(rows)
                shards += 1
            index.close()
        if not shards:
            raise ValueError(f"{final}: no records to write; an empty data set is refused")
    return final / INDEX_NAME


def _written(records: Iterable[GivenRecord], reject: Callable[[str], object]) -> Iterator[_Line]:
    for given in records:
        file, line, content = (None, None, given) if isinstance(given, Mapping) else given
        place = Place(file, line)
        try:
            if isinstance(content, RejectedLine):
                raise RecordError(content.reason)
            yield place, content, json_line(content)
        except RecordError as error:
            excerpt = content.excerpt if isinstance(content, RejectedLine) else ""
            entry = {"file": file, "line": line, "reason": str(error), "excerpt": excerpt}
            reject(json.dumps(entry, ensure_ascii=False) + "\n")


def _write_shard(folder: Path, shard: int, lines: Iterator[_Line]) -> list[dict[str, Any]]:
    """Write a shard, unless there are no lines; its rows of the index."""
    first = next(lines, None)
    if first is None:
        return []
    rows, offset = list[dict[str, Any]](), 0
    with (folder / shard_name(shard)).open("wb") as handle:
        for place, record, content in chain([first], lines):
            handle.write(content)
            rows.append(index_row(record, place, shard=shard, offset=offset, size=len(content)))
            offset += len(content)
    return rows
