"""Which worker reads which samples at which step, from the audit and the seed alone.

The endless order of samples is cut into windows. A window's samples become units, each of which is one row of a batch: a sample, or
several that are packed together. Every step takes the next `batch` units, and every worker its equal share of them, so that any
number of workers uses the same samples at the same step, and a position in the units is all that resuming needs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from opabinia.config import Config
from opabinia.data.arrow import pc
from opabinia.data.audited import AuditedSource
from opabinia.data.streaming.batching import BatchingConfig, GroupedBatches, PackedBatches
from opabinia.data.streaming.grouping import group_by_length
from opabinia.data.streaming.order import Places, SampleOrder, Stretch, shuffled
from opabinia.data.streaming.packing import pack, padding_share

# Plain batches need no window; this many samples are the work of one task.
_PLAIN_SAMPLES = 512


class StreamPosition(Config):
    """How far a stream has been used: all windows before `window`, and `unit` units of that one.

    The window's first sample is number `offset` of the `shard` (in its order) of `epoch`; `data` and `seed` say in which order.
    """

    data: str
    seed: int
    window: int
    unit: int
    epoch: int
    shard: int
    offset: int


@dataclass(frozen=True, slots=True)
class Share:
    """One of several workers."""

    worker: int
    workers: int


@dataclass(frozen=True, slots=True)
class WindowWork:
    """Units `first` to before `stop` of a window, of which the first is number `number` since the stream began."""

    window: int
    first: int
    stop: int
    number: int


@dataclass(frozen=True)
class StreamPlan:
    """The units of a source, window after window.

    batch: units of one step, all workers together. visual_tokens: what a picture becomes in the language model.
    """

    audited: AuditedSource
    seed: int
    batch: int
    batching: BatchingConfig
    visual_tokens: int

    @cached_property
    def order(self) -> SampleOrder:
        return SampleOrder(self.audited.counts, self.seed)

    @cached_property
    def window_samples(self) -> int:
        """Samples of every window; whole batches, unless samples are packed."""
        match self.batching:
            case PackedBatches(window=samples):
                return samples
            case GroupedBatches(window=batches):
                return batches * self.batch
            case _:
                return -(-_PLAIN_SAMPLES // self.batch) * self.batch

    @property
    def packs(self) -> bool:
        """Whether a row may hold several samples."""
        return isinstance(self.batching, PackedBatches)

    def stretches(self, window: int) -> list[Stretch]:
        """The window's samples in the order of the stream."""
        start = window * self.window_samples
        return list(self.order.stretches(start, start + self.window_samples))

    def units(self, window: int) -> list[Places]:
        """The window's units in order, each as the places of its samples within the window."""
        match self.batching:
            case PackedBatches(tokens=capacity):
                packs = pack(self._lengths(window)[0], capacity)
                return [packs[place] for place in shuffled(len(packs), self.seed, "packs", window)]
            case GroupedBatches():
                lengths, pictured = self._lengths(window)
                return list(group_by_length(lengths, pictured, self.batch, self.seed + window)[:, None])
            case _:
                return list(np.arange(self.window_samples)[:, None])

    def position(self, window: int, unit: int) -> StreamPosition:
        at = self.order.position(window * self.window_samples)
        return StreamPosition(
            data=self.audited.fingerprint,
            seed=self.seed,
            window=window,
            unit=unit,
            epoch=at.epoch,
            shard=at.shard,
            offset=at.offset,
        )

    def padding_if_plain(self, rows: int) -> float:
        """The share of padding in the first window's samples if they came in the order of the stream, `rows` at a time."""
        return padding_share(self._lengths(0)[0], rows)

    def largest_row(self) -> tuple[int, int]:
        """Positions, and pictures, that no row has more of; reads the whole index."""
        if isinstance(self.batching, PackedBatches):
            return self.batching.tokens, self.batching.tokens // self.visual_tokens
        every = [Stretch(shard, np.arange(count)) for shard, count in enumerate(self.audited.counts) if count]
        found = [self._lengths_of(stretch) for stretch in every]
        positions = max(int((tokens + images * (self.visual_tokens - 1)).max()) for tokens, images in found)
        return positions, max(int(images.max()) for _, images in found)

    def check(self, position: StreamPosition) -> None:
        """Raises ValueError where the position belongs to other data, another seed or other windows."""
        here = self.position(position.window, position.unit)
        if here != position:
            field = next(name for name in type(here).model_fields if getattr(here, name) != getattr(position, name))
            raise ValueError(
                f"data.sources.{self.audited.summary.source}: cannot be resumed, because {field} was {getattr(position, field)} "
                f"and is {getattr(here, field)} now; restore the data and settings of then, or start the run anew"
            )

    def work(self, start: StreamPosition, units: int) -> Iterator[WindowWork]:
        """Windows from `start` on, until `units` units have been named."""
        window, first, number = start.window, start.unit, 0
        while number < units:
            stop = min(self._count(window), first + units - number)
            yield WindowWork(window, first, stop, number)
            number += stop - first
            window, first = window + 1, 0

    def pieces(self, work: WindowWork, share: Share, rows: int) -> Iterator[WindowWork]:
        """The work in the same order, cut so that none of it has more than `rows` units of this worker."""
        each = self.batch // share.workers

        def owned_before(number: int) -> int:
            batches, rest = divmod(number, self.batch)
            return batches * each + min(max(rest - share.worker * each, 0), each)

        def number_of(owned: int) -> int:
            batches, rest = divmod(owned, each)
            return batches * self.batch + share.worker * each + rest

        end = work.number + work.stop - work.first
        cuts = [number_of(owned) for owned in range(owned_before(work.number) + rows, owned_before(end), rows)]
        for start, stop in pairwise([work.number, *cuts, end]):
            shift = work.first - work.number
            yield WindowWork(work.window, start + shift, stop + shift, start)

    def owned(self, work: WindowWork, share: Share) -> list[Places]:
        """Those of the work's units that are this worker's, in order."""
        each = self.batch // share.workers
        units = self.units(work.window)[work.first : work.stop]
        numbers = range(work.number, work.number + len(units))
        return [
            unit for unit, number in zip(units, numbers, strict=True) if number % self.batch // each == share.worker
        ]

    def _count(self, window: int) -> int:
        return len(self.units(window)) if isinstance(self.batching, PackedBatches) else self.window_samples

    def _lengths(self, window: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """[samples] each: tokens in the language model, and whether there is a picture."""
        found = [self._lengths_of(stretch) for stretch in self.stretches(window)]
        tokens, images = (np.concatenate(columns) for columns in zip(*found, strict=True))
        return tokens + images * (self.visual_tokens - 1), images > 0

    def _lengths_of(self, stretch: Stretch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = self.audited.rows(stretch.shard, ["tokens", "images"]).take(stretch.rows)
        images = pc.list_value_length(rows["images"])
        return rows["tokens"].to_numpy().astype(np.int64), images.to_numpy().astype(np.int64)


@dataclass
class Progress:
    """Turns counts of units used since `work` began into positions; counts only rise."""

    plan: StreamPlan
    work: Sequence[WindowWork]

    def after(self, units: int) -> StreamPosition:
        """The position when `units` units have been used, some of them in `work`."""
        place = bisect_right([part.number for part in self.work], units) - 1
        part = self.work[place]
        unit = part.first + units - part.number
        return self.plan.position(part.window, unit)
