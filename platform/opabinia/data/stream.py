"""JSONL shards as a stream of token rows, in an order that depends on the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ray.data

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.order import Visit, plan_visits, shuffled
from opabinia.data.pipeline import ordered_dataset
from opabinia.data.records import Record, RecordError, parse_record
from opabinia.data.shards import read_lines
from opabinia.data.source import SourceConfig, images_folder, list_shards
from opabinia.data.trainable import TextEncoding

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
    rejected: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> ray.data.Dataset:
    """Exactly `samples` rows {input_ids, labels, image, image_key}, epochs repeating, the same order for the same seed.

    `image_keys` maps a record's image path to the sha256 of the file, and `rejected` a file to line numbers, as the audit found
    them; records whose picture is not in it are left out, as are rejected lines, lines that do not parse, and records whose answers
    cannot be told from their prompts. Raises ValueError when nothing can be used.
    """
    reader = ShardReader(
        shards=tuple(list_shards(name, source)),
        images=str(images_folder(name, source)),
        image_keys=dict(image_keys),
        rejected={file: frozenset(lines) for file, lines in rejected.items()},
        encoding=TextEncoding(tokenizer_folder, max_length, source.conversation),
        seed=seed,
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
    rejected: dict[str, frozenset[int]]
    encoding: TextEncoding
    seed: int

    def count_rows(self, shard: int) -> int:
        """How many records of the shard can be used, as far as can be told without tokenizing."""
        return sum(self._is_usable(shard, number, line) for number, line in read_lines(self.shards[shard]))

    def tables(self, visit: Mapping[str, Any]) -> Iterator[ArrowTable]:
        """The rows of one visit in small tables, so that the first batch does not wait for the whole shard."""
        rows = self.rows(Visit(**visit))
        while chunk := list(islice(rows, ROWS_PER_TABLE)):
            yield pa.Table.from_pylist(chunk, schema=ROW_SCHEMA)

    def rows(self, visit: Visit) -> Iterator[Row]:
        """Exactly `visit.rows` rows; a record that cannot be trained on after all gives its place to the next one."""
        lines = list(read_lines(self.shards[visit.shard]))
        order = shuffled(len(lines), self.seed, visit.epoch, visit.shard)
        remaining, reason = visit.rows, ""
        while remaining:
            before = remaining
            for index in order:
                try:
                    row = self._row(visit.shard, *lines[index])
                except RecordError as error:
                    reason = str(error)
                    continue
                yield row
                remaining -= 1
                if not remaining:
                    return
            if remaining == before:
                raise ValueError(f"{self.shards[visit.shard]}: none of its records can be trained on; one: {reason}")

    def _is_usable(self, shard: int, number: int, line: str) -> bool:
        try:
            self._parse(shard, number, line)
        except RecordError:
            return False
        return True

    def _parse(self, shard: int, number: int, line: str) -> Record:
        file = str(self.shards[shard])
        if number in self.rejected.get(file, ()):
            raise RecordError("the audit rejected it")
        record = parse_record(line, file, number)
        if record.image is not None and record.image not in self.image_keys:
            raise RecordError("the audit did not accept its picture")
        return record

    def _row(self, shard: int, number: int, line: str) -> Row:
        record = self._parse(shard, number, line)
        encoded = self.encoding.encode(record)
        return {
            "input_ids": encoded.input_ids,
            "labels": encoded.labels,
            "image": "" if record.image is None else str(Path(self.images) / record.image),
            "image_key": "" if record.image is None else self.image_keys[record.image],
        }
