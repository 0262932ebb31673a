"""From a window of the plan to rows of tokens: what the stream's tasks do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.audited import AuditedSource
from opabinia.data.records import Record, parse_record
from opabinia.data.shards import line_text
from opabinia.data.streaming.local_copies import local_copy
from opabinia.data.streaming.order import Stretch
from opabinia.data.streaming.plan import Share, StreamPlan, WindowWork
from opabinia.data.trainable import TextEncoding

ROWS_PER_TABLE = 64
_ROWS_PER_TASK = 512
# Pictures come by the megabyte. What a task gives must wait for those before it, so one that gives much keeps the others waiting.
_ROWS_WITH_MORE = 16
_TASK_ROWS_WITH_MORE = 64
ROW_SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("labels", pa.list_(pa.int32())),
        ("lengths", pa.list_(pa.int32())),
        ("images", pa.list_(pa.string())),
        ("image_keys", pa.list_(pa.string())),
        ("samples", pa.list_(pa.struct([("file", pa.string()), ("line", pa.int64()), ("id", pa.string())]))),
    ]
)
"""One row a unit: its samples one after another.

lengths: tokens of each sample. images: addresses of their pictures, in the order of their placeholders. image_keys: the sha256 of
each picture's bytes. samples: where each sample stands, and what it is called.
"""

Row = dict[str, Any]

MoreColumns = Callable[[ArrowTable], ArrowTable]
"""Rows of ROW_SCHEMA, and the same with further columns: their pictures' pixels, say. Sent to the tasks that read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A record as it is read, with its pictures' keys."""

    record: Record
    image_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowReader:
    """Turns work on windows into rows; sent to the tasks that do so."""

    plan: StreamPlan
    share: Share
    encoding: TextEncoding
    more: MoreColumns | None = None

    @property
    def rows_a_task(self) -> int:
        """How many rows a task should read."""
        return _ROWS_PER_TASK if self.more is None else _TASK_ROWS_WITH_MORE

    def tables(self, item: Mapping[str, Any]) -> Iterator[ArrowTable]:
        """The rows of this worker in small tables, so that the first batch does not wait for the whole window."""
        rows = self.rows(WindowWork(**item))
        while chunk := list(islice(rows, ROWS_PER_TABLE if self.more is None else _ROWS_WITH_MORE)):
            table = pa.Table.from_pylist(chunk, schema=ROW_SCHEMA)
            yield table if self.more is None else self.more(table)

    def rows(self, work: WindowWork) -> Iterator[Row]:
        """Raises ValueError where a shard is not what it was when it was audited."""
        units = self.plan.owned(work, self.share)
        wanted = frozenset(int(place) for unit in units for place in unit)
        samples = read_samples(self.plan.audited, self.plan.stretches(work.window), wanted)
        return (self._row([samples[place] for place in unit]) for unit in units)

    def _row(self, samples: Sequence[Sample]) -> Row:
        encoded = [self.encoding.encode(sample.record) for sample in samples]
        address = self.plan.audited.image_address
        return {
            "input_ids": [token for one in encoded for token in one.input_ids],
            "labels": [label for one in encoded for label in one.labels],
            "lengths": [len(one.input_ids) for one in encoded],
            "images": [address(image) for sample in samples for image in sample.record.images],
            "image_keys": [key for sample in samples for key in sample.image_keys],
            "samples": [{"file": one.record.file, "line": one.record.line, "id": one.record.id} for one in samples],
        }


def read_samples(audited: AuditedSource, stretches: Sequence[Stretch], wanted: frozenset[int]) -> dict[int, Sample]:
    """The `wanted` samples by their places in the stretches; files are read from their beginning to their end.

    Raises ValueError where a shard is not what it was when it was audited.
    """
    samples, start = dict[int, Sample](), 0
    for stretch in stretches:
        inside = [place for place in range(start, start + len(stretch.rows)) if place in wanted]
        rows = stretch.rows[np.array(inside, dtype=np.int64) - start]
        samples |= zip(inside, _read_shard(audited, stretch.shard, rows), strict=True)
        start += len(stretch.rows)
    return samples


def _read_shard(audited: AuditedSource, shard: int, rows: Any) -> list[Sample]:
    found = audited.summary.shards[shard]
    table = audited.rows(shard, ["line", "offset", "size", "images", "keys"]).take(rows).to_pylist()
    if not table:
        return []
    samples = dict[int, Sample]()
    with local_copy(found.address, found.bytes).open("rb") as stream:
        for place in sorted(range(len(table)), key=lambda place: table[place]["offset"]):
            samples[place] = _read_sample(stream.seek, stream.read, table[place], found.address)
    return [samples[place] for place in range(len(table))]


def _read_sample(seek: Callable[[int], int], read: Callable[[int], bytes], row: Mapping[str, Any], file: str) -> Sample:
    seek(row["offset"])
    try:
        record = parse_record(line_text(read(row["size"])), file, row["line"])
        if list(record.images) != row["images"]:
            raise ValueError("it names other pictures")
    except ValueError as error:
        raise ValueError(
            f"{file}: line {row['line']} was changed after the audit ({error}); start the job anew"
        ) from None
    return Sample(record, tuple(row["keys"]))
