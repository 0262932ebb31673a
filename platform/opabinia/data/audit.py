"""Reads every line and every picture of a source once, and says which cannot be trained on and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TextIO

from opabinia.data.arrow import ArrowTable, pa, pc
from opabinia.data.audited import (
    QUARANTINE_NAME,
    RECORD_SCHEMA,
    RECORDS_NAME,
    SUMMARY_NAME,
    AuditedShard,
    AuditedSource,
    AuditSummary,
    image_address,
    open_audited,
)
from opabinia.data.pictures import PictureError, picture_key
from opabinia.data.pipeline import cluster_cpus, ordered_dataset
from opabinia.data.records import RecordError, parse_record
from opabinia.data.shards import Line, placed_lines
from opabinia.data.source import SourceConfig, images_address, list_shards
from opabinia.data.steps import run_step
from opabinia.data.trainable import TextEncoding
from opabinia.storage.atomic import whole_text
from opabinia.storage.objects import size
from opabinia.storage.versions import file_version, folder_version

VERSION = 1
"""Raised when the same source would be judged otherwise than before."""

LINES_PER_TABLE = 256
_FINDING_SCHEMA = pa.schema([pa.field("shard", pa.int64()), pa.field("reason", pa.string()), *RECORD_SCHEMA])
_FIRST_REASONS = 3
# A picture that many lines share is decoded once, where they stand not too far apart.
_PICTURES_KNOWN = 1 << 14


def audit_source(name: str, source: SourceConfig, encoding: TextEncoding, root: Path) -> AuditedSource:
    """Check every line and picture of a source, shards in parallel; the result does not depend on timing.

    A record must become tokens of which exactly its answers are supervised. What was found is kept below `root`, and a source that
    is as it was then, shards and pictures by their sizes and times of change, is not read again. One shard's findings are held at once.
    Ray must be running. Raises ValueError naming the field when there are no shards or no images folder.
    """
    shards, images = list_shards(name, source), images_address(name, source)
    recipe = {
        "version": VERSION,
        "shards": [(shard, file_version(shard)) for shard in shards],
        "images": (images, folder_version(images)),
        "tokenizer": encoding.tokenizer_folder,
        "max_length": encoding.max_length,
        "conversation": encoding.conversation,
    }
    return open_audited(run_step(root, name, recipe, partial(_audit, name, shards, images, encoding)))


def enforce_limit(audited: AuditedSource, limit: float) -> None:
    """Raise ValueError, one line, when more than `limit` (a share of the lines) was rejected, or nothing is left."""
    rejected, records = audited.summary.rejected, audited.records
    lines = rejected + records
    if records and rejected <= limit * lines:
        return
    quarantine = audited.folder / QUARANTINE_NAME
    with quarantine.open(encoding="utf-8") as handle:
        first = [json.loads(line) for line in islice(handle, _FIRST_REASONS)]
    reasons = "; ".join(f"{Path(entry['file']).name}:{entry['line']} {entry['reason']}" for entry in first)
    raise ValueError(
        f"data.sources.{audited.summary.source}: {rejected} of {lines} records rejected ({rejected / max(1, lines):.1%}, "
        f"limit {limit:.1%}), {records} left; all in {quarantine}; first: {reasons or 'the shards hold no records'}"
    )


def _audit(name: str, shards: Sequence[str], images: str, encoding: TextEncoding, folder: Path) -> None:
    items = [{"shard": index, "address": shard, "images": images} for index, shard in enumerate(shards)]
    findings: Any = ordered_dataset(items, partial(_check_shard, encoding), at_once=cluster_cpus())
    tables = findings.iter_batches(batch_size=None, batch_format="pyarrow")
    counts = [0] * len(shards)
    rejected = 0
    with (
        pa.ipc.new_file(str(folder / RECORDS_NAME), RECORD_SCHEMA) as records,
        whole_text(folder / QUARANTINE_NAME) as quarantine,
    ):
        for shard, found in _by_shard(tables, len(shards)):
            usable = [table.filter(pc.equal(table["reason"], "")) for table in found]
            counts[shard] = sum(table.num_rows for table in usable)
            rejected += sum(_quarantine(table, shards[shard], quarantine) for table in found)
            _write_batch(records, usable)
    audited = [
        AuditedShard(address=shard, bytes=size(shard), records=count)
        for shard, count in zip(shards, counts, strict=True)
    ]
    summary = AuditSummary(source=name, images=images, shards=tuple(audited), rejected=rejected)
    (folder / SUMMARY_NAME).write_text(summary.model_dump_json(indent=1) + "\n")


def _by_shard(tables: Iterable[ArrowTable], shards: int) -> Iterator[tuple[int, list[ArrowTable]]]:
    """Every shard in order with its findings, those without any included."""
    pieces = (piece for table in tables for piece in _pieces(table))
    expected = 0
    for shard, group in groupby(pieces, lambda piece: piece[0]):
        yield from ((empty, []) for empty in range(expected, shard))
        yield shard, [table for _, table in group]
        expected = shard + 1
    yield from ((empty, []) for empty in range(expected, shards))


def _pieces(table: ArrowTable) -> Iterator[tuple[int, ArrowTable]]:
    start = 0
    for shard, group in groupby(table["shard"].to_pylist()):
        rows = sum(1 for _ in group)
        yield shard, table.slice(start, rows)
        start += rows


def _write_batch(writer: Any, tables: Sequence[ArrowTable]) -> None:
    empty = pa.Table.from_pylist([], schema=RECORD_SCHEMA)
    whole = pa.concat_tables([empty, *(table.select(RECORD_SCHEMA.names).cast(RECORD_SCHEMA) for table in tables)])
    arrays = [column.combine_chunks() for column in whole.columns]
    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=RECORD_SCHEMA))


def _quarantine(table: ArrowTable, file: str, handle: TextIO) -> int:
    bad = table.filter(pc.not_equal(table["reason"], "")).select(["line", "reason"]).to_pylist()
    handle.writelines(json.dumps({"file": file, **row}, ensure_ascii=False) + "\n" for row in bad)
    return len(bad)


def _check_shard(encoding: TextEncoding, item: Mapping[str, Any]) -> Iterator[ArrowTable]:
    examine = lru_cache(maxsize=_PICTURES_KNOWN)(partial(_examine, item["images"]))
    findings = (
        _finding(item["shard"], line, _examine_line(line, item["address"], encoding, examine))
        for line in placed_lines(item["address"])
    )
    while chunk := list(islice(findings, LINES_PER_TABLE)):
        yield pa.Table.from_pylist(chunk, schema=_FINDING_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Examined:
    """A picture's key, or why it cannot be used."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Usable:
    tokens: int
    images: tuple[str, ...]
    keys: tuple[str, ...]


def _finding(shard: int, line: Line, found: _Usable | str) -> dict[str, Any]:
    usable, reason = (_Usable(0, (), ()), found) if isinstance(found, str) else (found, "")
    return {
        "shard": shard,
        "reason": reason,
        "line": line.number,
        "offset": line.offset,
        "size": line.size,
        "tokens": usable.tokens,
        "images": usable.images,
        "keys": usable.keys,
    }


def _examine_line(line: Line, file: str, encoding: TextEncoding, examine: Callable[[str], _Examined]) -> _Usable | str:
    """What the record is, or the reason why it cannot be used."""
    try:
        record = parse_record(line.text, file, line.number)
        tokens = len(encoding.encode(record).input_ids)
    except RecordError as error:
        return str(error)
    found = [examine(image) for image in record.images]
    reason = next((picture.reason for picture in found if picture.reason), "")
    return reason or _Usable(tokens, record.images, tuple(picture.key for picture in found))


def _examine(images: str, image: str) -> _Examined:
    try:
        return _Examined(picture_key(image_address(images, image)), "")
    except (PictureError, ValueError) as error:
        return _Examined("", f"image {image!r} {error}")
