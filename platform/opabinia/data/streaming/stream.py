"""The batches of one worker: read by Ray Data tasks ahead of training, in an order that any number of workers shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.collate import TextBatch, collate_text
from opabinia.data.pipeline import ordered_dataset
from opabinia.data.streaming.plan import Progress, Share, StreamPlan, StreamPosition, WindowWork
from opabinia.data.streaming.reading import MoreColumns, WindowReader
from opabinia.data.streaming.rows import rows_of
from opabinia.data.trainable import TextEncoding

# A data set is planned as a whole before it starts. After this many windows, some 10^5 samples, comes another data set.
WINDOWS_AT_ONCE = 256
_PREFETCH = 2


@dataclass(frozen=True, slots=True)
class Streamed:
    """A worker's share of one step's batch, and where the stream stands once all workers have used theirs.

    table: the rows that the batch was made of, with the further columns that the stream was asked for.
    """

    batch: TextBatch
    table: ArrowTable
    position: StreamPosition


def stream_batches(
    plan: StreamPlan,
    encoding: TextEncoding,
    share: Share,
    *,
    steps: int,
    pad_id: int,
    start: StreamPosition | None = None,
    tasks: int = 2,
    more: MoreColumns | None = None,
) -> Iterator[Streamed]:
    """`steps` batches from `start` on (the beginning when None), `tasks` Ray tasks reading ahead and adding `more` columns.

    Ray must be running. Raises ValueError where the workers cannot share a batch equally, where `start` belongs to other data, and
    while reading where a shard was changed after the audit.
    """
    if plan.batch % share.workers:
        raise ValueError(f"batch: {plan.batch} rows cannot be shared by {share.workers} workers; use a multiple")
    start = start or plan.position(0, 0)
    plan.check(start)
    reader = WindowReader(plan, share, encoding, more)
    each, used = plan.batch // share.workers, 0
    work = plan.work(start, steps * plan.batch)
    rest = list[ArrowTable]()
    while windows := list(islice(work, WINDOWS_AT_ONCE)):
        progress = Progress(plan, windows)
        for table in _regrouped(_tables(reader, windows, tasks), each, rest):
            used += plan.batch
            yield Streamed(collate_text(rows_of(table), pad_id), table, progress.after(used))


def _tables(reader: WindowReader, windows: list[WindowWork], tasks: int) -> Iterable[ArrowTable]:
    dataset: Any = ordered_dataset([asdict(work) for work in windows], reader.tables, at_once=tasks)
    return dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=_PREFETCH)


def _regrouped(tables: Iterable[ArrowTable], rows: int, rest: list[ArrowTable]) -> Iterator[ArrowTable]:
    """Tables of exactly `rows` rows without copying them; what is left over stays in `rest` for the next call."""
    for table in tables:
        rest.append(table)
        while sum(part.num_rows for part in rest) >= rows:
            whole = pa.concat_tables(rest)
            rest[:] = [whole.slice(rows)]
            yield whole.slice(0, rows)
