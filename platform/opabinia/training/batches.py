"""From a worker's share of a stream to batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from opabinia.data.collate import TextBatch, collate_text

if TYPE_CHECKING:
    from ray.data import DataIterator


def stream_batches(shard: DataIterator, batch: int, pad_id: int) -> Iterator[TextBatch]:
    """Batches of `batch` rows in the order of the stream; a shorter last one is dropped."""
    iterator: Any = shard
    tables = iterator.iter_batches(batch_size=batch, batch_format="pyarrow", prefetch_batches=2, drop_last=True)
    for table in tables:
        yield collate_text(table.to_pylist(), pad_id)
