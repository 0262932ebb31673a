"""JSONL shards as a stream of token rows, in an order that depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import ray.data

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.order import Visit, plan_visits, shuffled
from opabinia.data.pipeline import ordered_dataset
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, encode_conversation
from opabinia.data.records import Record, RecordError, parse_record
from opabinia.data.shards import read_lines
from opabinia.data.source import SourceConfig, images_folder, list_shards
from opabinia.data.tokenizer import load_tokenizer

Row = dict[str, Any]

# Two tasks give some 10,000 rows a second, more than training takes, and spare small machines idle processes.
TASKS_AT_ONCE = 2
ROWS_PER_TABLE = 512
ROW_SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int64())),
        ("labels", pa.list_(pa.int64())),
        ("image", pa.string()),
        ("image_key", pa.string()),
    ]
)


def stream_source(
    name: str,
    source: SourceConfig,
    *,
    tokenizer_folder: str,
    seed: int,
    samples: int,
    image_keys: Mapping[str, str],
    max_length: int,
) -> ray.data.Dataset:
    """Exactly `samples` rows {input_ids, labels, image, image_key}, epochs repeating, the same order for the same seed.

    `image_keys` maps a record's image path to the sha256 of the file, as the audit found it; records whose picture is
    not in it are left out, as are lines that do not parse. Raises ValueError when nothing can be used.
    """
    reader = ShardReader(
        shards=tuple(list_shards(name, source)),
        images=str(images_folder(name, source)),
        image_keys=dict(image_keys),
        tokenizer_folder=tokenizer_folder,
        seed=seed,
        max_length=max_length,
    )
    try:
        visits = plan_visits(len(reader.shards), lru_cache(None)(reader.count_rows), seed=seed, samples=samples)
    except ValueError as error:
        raise ValueError(f"data.sources.{name}.shards: {error}; look at its quarantine file") from None
    return ordered_dataset([asdict(visit) for visit in visits], reader.tables, at_once=TASKS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ShardReader:
    """Turns visits to shards into rows; sent to the tasks that do so."""

    shards: tuple[Path, ...]
    images: str
    image_keys: dict[str, str]
    tokenizer_folder: str
    seed: int
    max_length: int

    def count_rows(self, shard: int) -> int:
        """How many records of the shard can be used, as far as can be told without tokenizing."""
        return sum(self._parse(shard, number, line) is not None for number, line in read_lines(self.shards[shard]))

    def tables(self, visit: Mapping[str, Any]) -> Iterator[ArrowTable]:
        """The rows of one visit in small tables, so that the first batch does not wait for the whole shard."""
        rows = self.rows(Visit(**visit))
        while chunk := list(islice(rows, ROWS_PER_TABLE)):
            yield pa.Table.from_pylist(chunk, schema=ROW_SCHEMA)

    def rows(self, visit: Visit) -> Iterator[Row]:
        """Exactly `visit.rows` rows; a record that max_length leaves no answer of gives its place to the next one."""
        lines = list(read_lines(self.shards[visit.shard]))
        order = shuffled(len(lines), self.seed, visit.epoch, visit.shard)
        remaining = visit.rows
        while remaining:
            before = remaining
            for index in order:
                row = self._row(visit.shard, *lines[index])
                if row is not None:
                    yield row
                    remaining -= 1
                if not remaining:
                    return
            if remaining == before:
                shard = self.shards[visit.shard]
                raise ValueError(f"data.max_length: {self.max_length} tokens leave no answer in {shard}; raise it")

    def _parse(self, shard: int, number: int, line: str) -> Record | None:
        try:
            record = parse_record(line, str(self.shards[shard]), number)
        except RecordError:
            return None
        return record if record.image is None or record.image in self.image_keys else None

    def _row(self, shard: int, number: int, line: str) -> Row | None:
        record = self._parse(shard, number, line)
        if record is None:
            return None
        encoded = encode_conversation(load_tokenizer(self.tokenizer_folder), record.turns)
        input_ids, labels = encoded.input_ids[: self.max_length], encoded.labels[: self.max_length]
        if all(label == IGNORE for label in labels) or (record.image is not None and IMAGE_TOKEN not in input_ids):
            return None
        return {
            "input_ids": input_ids,
            "labels": labels,
            "image": "" if record.image is None else str(Path(self.images) / record.image),
            "image_key": "" if record.image is None else self.image_keys[record.image],
        }
