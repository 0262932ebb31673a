"""The order of a stream, from (seed, epoch) alone: which shards, in which order, and the records within each."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from opabinia.data.scramble import scramble

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream: the record that comes next is number `offset` (from 0) in the order of the `shard` of `epoch`."""

    epoch: int
    shard: int
    offset: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive samples that lie in one shard. rows: which of its usable records, in the order of the stream."""

    shard: int
    rows: Places


@dataclass(frozen=True)
class SampleOrder:
    """All samples of a source, epoch after epoch without end, each record once an epoch; sample n is the same on every machine.

    counts: usable records of each shard, not all zero. Only the order of one shard is held at a time.
    """

    counts: tuple[int, ...]
    seed: int

    @property
    def samples_per_epoch(self) -> int:
        return sum(self.counts)

    def position(self, sample: int) -> Position:
        """Where sample number `sample` lies, counted from 0 over all epochs."""
        epoch, rest = divmod(sample, self.samples_per_epoch)
        shards, ends = _epoch(self.counts, self.seed, epoch)
        place = bisect_right(ends, rest)
        return Position(epoch, shards[place], rest - (ends[place - 1] if place else 0))

    def stretches(self, start: int, stop: int) -> Iterator[Stretch]:
        """Samples `start` to before `stop`."""
        while start < stop:
            at = self.position(start)
            count = min(self.counts[at.shard] - at.offset, stop - start)
            order = _records(self.counts[at.shard], self.seed, at.epoch, at.shard)
            yield Stretch(at.shard, order[at.offset : at.offset + count])
            start += count


def shuffled(length: int, *seeds: object) -> Places:
    """A permutation of range(length) that depends on the seeds only, not on the process, the machine or a library's version."""
    digest = hashlib.blake2b("/".join(map(str, seeds)).encode(), digest_size=8).digest()
    key = np.uint64(int.from_bytes(digest, "little"))
    return np.argsort(scramble(np.arange(length, dtype=np.uint64) ^ key), kind="stable").astype(np.int64)


@lru_cache(maxsize=4)
def _epoch(counts: tuple[int, ...], seed: int, epoch: int) -> tuple[Sequence[int], Sequence[int]]:
    """The shards in their order, and after each how many samples of the epoch have passed."""
    shards: list[int] = shuffled(len(counts), seed, epoch).tolist()
    return shards, list(accumulate(counts[shard] for shard in shards))


@lru_cache(maxsize=2)
def _records(count: int, seed: int, epoch: int, shard: int) -> Places:
    return shuffled(count, seed, epoch, shard)
