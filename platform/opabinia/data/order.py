"""The order of a stream, from (seed, epoch) alone: which shards, in which order, and the lines within each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random


@dataclass(frozen=True, slots=True)
class Visit:
    """One reading of one shard: `rows` of its records, in the order that `shuffled` gives."""

    epoch: int
    shard: int
    rows: int


def shuffled(length: int, *seeds: object) -> list[int]:
    """A permutation of range(length) that depends on the seeds only, not on the process or the machine."""
    order = list(range(length))
    # Seeding from text goes through SHA-512, never through the randomised hash().
    Random("/".join(map(str, seeds))).shuffle(order)
    return order


def plan_visits(shards: int, count_rows: Callable[[int], int], *, seed: int, samples: int) -> list[Visit]:
    """Visits that add up to exactly `samples` rows, repeating epochs; the last one is cut short.

    `count_rows` tells how many usable records a shard holds and is asked only about shards that are visited.
    Raises ValueError when a whole epoch holds none.
    """
    visits = list[Visit]()
    for epoch in count():
        before = samples
        for visit in _epoch(shards, count_rows, seed, epoch):
            if samples == 0:
                return visits
            visits.append(Visit(visit.epoch, visit.shard, min(visit.rows, samples)))
            samples -= visits[-1].rows
        if samples in (0, before):
            break
    if samples:
        raise ValueError("none of its records can be used")
    return visits


def _epoch(shards: int, count_rows: Callable[[int], int], seed: int, epoch: int) -> Iterator[Visit]:
    for shard in shuffled(shards, seed, epoch):
        if rows := count_rows(shard):
            yield Visit(epoch, shard, rows)
