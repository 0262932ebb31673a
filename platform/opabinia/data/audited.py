"""What the audit of a source leaves behind: an index of every record that can be trained on, read without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from opabinia.config import Config
from opabinia.data.arrow import ArrowTable, pa
from opabinia.storage.addresses import join_address

RECORDS_NAME = "records.arrow"
SUMMARY_NAME = "audit.json"
QUARANTINE_NAME = "quarantine.jsonl"

RECORD_SCHEMA = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("images", pa.list_(pa.string()), nullable=False),
        pa.field("keys", pa.list_(pa.string()), nullable=False),
    ]
)
"""One row a usable record, one record batch a shard.

line: its number from 1. offset, size: its bytes, newline included. tokens: of its text, a picture counting as one.
images: its pictures, relative to the source's images folder. keys: the sha256 (hex) of each picture's bytes.
"""


class AuditedShard(Config):
    """A shard as the audit found it."""

    address: str
    bytes: int
    """Its size then; one that has another size now was changed and must be audited again."""
    records: int
    """How many of its records can be trained on."""


class AuditSummary(Config):
    """What stands in audit.json."""

    source: str
    """The name of the source under data.sources."""
    images: str
    """The address of its images folder."""
    shards: tuple[AuditedShard, ...]
    rejected: int
    """How many lines no run may train on; the quarantine says which, and why."""


@dataclass(frozen=True)
class AuditedSource:
    """A source that was audited; small, and sent to the tasks that read it."""

    folder: Path
    summary: AuditSummary

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Usable records of each shard."""
        return tuple(shard.records for shard in self.summary.shards)

    @property
    def records(self) -> int:
        return sum(self.counts)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of what was found; a position in the data means something only with the same ones."""
        facts = [(Path(shard.address).name, shard.bytes, shard.records) for shard in self.summary.shards]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    def image_address(self, image: str) -> str:
        """Where a record's picture is."""
        return image_address(self.summary.images, image)

    def rows(self, shard: int, columns: Sequence[str]) -> ArrowTable:
        """Columns of a shard's usable records, in the order of its lines; mapped, not read, until they are looked at."""
        with _opened(self.folder / RECORDS_NAME) as reader:
            return pa.Table.from_batches([reader.get_batch(shard)]).select(list(columns))

    def pictures(self) -> Iterator[tuple[str, str]]:
        """(key, address) of every picture, as often as it is used; one shard's are held at once."""
        for shard in range(len(self.counts)):
            found = self.rows(shard, ["images", "keys"])
            images, keys = (found[name].combine_chunks().flatten().to_pylist() for name in ("images", "keys"))
            yield from ((key, self.image_address(image)) for key, image in zip(keys, images, strict=True))


def image_address(folder: str, image: str) -> str:
    """The address of a picture that a record names, below its images folder."""
    return join_address(folder, str(PurePosixPath(image)))


def open_audited(folder: Path) -> AuditedSource:
    """The source whose audit is in `folder`. Raises FileNotFoundError where there is none."""
    return AuditedSource(folder, AuditSummary.model_validate_json((folder / SUMMARY_NAME).read_text()))


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    with pa.memory_map(str(path)) as source:
        yield pa.ipc.open_file(source)
