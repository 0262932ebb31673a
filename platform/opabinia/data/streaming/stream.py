"""The batches of one worker: read by Ray Data tasks ahead of training, in an order that any number of workers shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.collate import TextBatch, collate_text
from opabinia.data.pipeline import ordered_dataset
from opabinia.data.streaming.batching import check_batch
from opabinia.data.streaming.plan import Progress, Share, StreamPlan, StreamPosition, WindowWork
from opabinia.data.streaming.reading import MoreColumns, WindowReader
from opabinia.data.streaming.rows import rows_of
from opabinia.data.trainable import TextEncoding

# A data set is planned as a whole before it starts. After this many windows, some 10^5 samples, comes another data set.
WINDOWS_AT_ONCE = 256
_PREFETCH = 2


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that a worker computes on at once, and the table they came in, with the further columns that were asked for."""

    batch: TextBatch
    table: ArrowTable


@dataclass(frozen=True, slots=True)
class Streamed:
    """A worker's share of one step's batch, in parts, and where the stream stands once all workers have used theirs."""

    parts: tuple[Part, ...]
    position: StreamPosition


def stream_batches(
    plan: StreamPlan,
    encoding: TextEncoding,
    share: Share,
    *,
    steps: int,
    pad_id: int,
    rows: int | None = None,
    start: StreamPosition | None = None,
    tasks: int = 2,
    more: MoreColumns | None = None,
) -> Iterator[Streamed]:
    """`steps` batches from `start` on (the beginning when None), `tasks` Ray tasks reading ahead and adding `more` columns.

    rows: of each part; None where a worker's share is one. Ray must be running. Raises ValueError where the workers cannot share a
    batch in such parts, where `start` belongs to other data, and while reading where a shard was changed after the audit.
    """
    each = plan.batch // share.workers
    rows = rows or each
    check_batch(plan.batch, share.workers, rows)
    start = start or plan.position(0, 0)
    plan.check(start)
    reader = WindowReader(plan, share, encoding, more)
    used = 0
    work = plan.work(start, steps * plan.batch)
    rest = list[ArrowTable]()
    while windows := list(islice(work, WINDOWS_AT_ONCE)):
        progress = Progress(plan, windows)
        for table in _regrouped(_tables(reader, windows, tasks), each, rest):
            used += plan.batch
            parts = [table.slice(first, rows) for first in range(0, each, rows)]
            yield Streamed(
                tuple(Part(collate_text(rows_of(part), pad_id), part) for part in parts), progress.after(used)
            )


def _tables(reader: WindowReader, windows: list[WindowWork], tasks: int) -> Iterable[ArrowTable]:
    pieces = (piece for work in windows for piece in reader.plan.pieces(work, reader.share, reader.rows_a_task))
    dataset: Any = ordered_dataset([asdict(piece) for piece in pieces], reader.tables, at_once=tasks)
    return dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=_PREFETCH)


def _regrouped(tables: Iterable[ArrowTable], rows: int, rest: list[ArrowTable]) -> Iterator[ArrowTable]:
    """Tables of exactly `rows` rows without copying them; what is left over stays in `rest` for the next call."""
    for table in tables:
        rest.append(table)
        while sum(part.num_rows for part in rest) >= rows:
            whole = pa.concat_tables(rest)
            rest[:] = [whole.slice(rows)]
            yield whole.slice(0, rows)
