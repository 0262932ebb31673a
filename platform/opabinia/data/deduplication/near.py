"""All pairs of 64-bit hashes that differ in few bits, without comparing all with all (multi-index hashing, Norouzi et al. 2012).

The 64 bits are dealt to d + 1 bands, at most four. Two hashes that differ in at most d bits differ in at most d // bands bits of some
band: none up to d = 3. Only hashes that share a band up to that many bits are compared. Of a million evenly spread hashes, at d = 3,
some 15 share a band of 16 bits; the more alike the pictures of a set, the more there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from opabinia.data.deduplication.settings import FARTHEST
from opabinia.data.scramble import Words

Places = NDArray[np.int64]
"""Places in an array of hashes."""

_MOST_BANDS = 4
_AT_ONCE = 2**21
"""Candidates compared at a time, which bounds memory."""


@dataclass(frozen=True, slots=True)
class Once:
    """Each of different hashes once: where it is first, how many there are, and for every hash given which it is."""

    hashes: Words
    first: Places
    counts: Places
    which: Places


def near_pairs(left: Words, right: Words, distance: int) -> Places:
    """[pairs, 2]: every (i, j) whose left[i] and right[j] differ in at most `distance` bits, in rising order.

    Best given each hash once. Raises ValueError for a distance outside 0…11.
    """
    if not 0 <= distance <= FARTHEST:
        raise ValueError(f"distance: expected 0 to {FARTHEST} bits, got {distance}")
    found = [np.empty((0, 2), dtype=np.int64)]
    for bits in _dealt_bits(left, right, bands := min(_MOST_BANDS, distance + 1)):
        left_band, right_band = _gather(left, bits), _gather(right, bits)
        order = np.argsort(right_band, kind="stable")
        for difference in _differences(len(bits), distance // bands):
            for i, places in _candidates(left_band ^ difference, right_band[order]):
                j = order[places]
                near = np.bitwise_count(left[i] ^ right[j]) <= distance
                found.append(np.stack([i[near], j[near]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def first_alike(hashes: Words, distance: int) -> Places:
    """[n]: for each hash, the place of the first that it counts as a copy of, or its own place.

    A hash is a copy of the earliest original within `distance` bits before it, and an original where there is none. So a copy is near
    its original, and no two originals are near each other; a chain of small changes does not become one picture.
    """
    once = by_age(hashes)
    original = _originals(len(once.hashes), near_pairs(once.hashes, once.hashes, distance))
    return once.first[original[once.which]]


def by_age(hashes: Words) -> Once:
    """The different hashes, in the order of first appearance."""
    different, first, inverse, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    age = np.empty_like(order)
    age[order] = np.arange(len(order))
    return Once(different[order], first[order].astype(np.int64), counts[order].astype(np.int64), age[inverse])


def _originals(count: int, pairs: Places) -> Places:
    original = np.arange(count)
    for earlier, later in pairs[pairs[:, 0] < pairs[:, 1]].tolist():
        # Pairs rise by their first place: whether `earlier` is an original is settled before it is asked.
        if original[earlier] == earlier and original[later] == later:
            original[later] = earlier
    return original


def _dealt_bits(left: Words, right: Words, bands: int) -> list[list[int]]:
    """The bits of each band; those that tell most are dealt out evenly, so that no band is nearly constant."""
    every = np.concatenate([left, right])
    share = np.array([int(_bit(every, bit).sum()) for bit in range(64)]) / max(1, len(every))
    order: list[int] = np.argsort(np.abs(share - 0.5), kind="stable").tolist()
    return [order[band::bands] for band in range(bands)]


def _gather(hashes: Words, bits: Sequence[int]) -> Words:
    band = np.zeros_like(hashes)
    for bit in bits:
        band = (band << np.uint64(1)) | _bit(hashes, bit)
    return band


def _bit(hashes: Words, bit: int) -> Words:
    return (hashes >> np.uint64(bit)) & np.uint64(1)


def _differences(width: int, most: int) -> list[np.uint64]:
    """All numbers of `width` bits of which at most `most` are set."""
    chosen = (places for size in range(most + 1) for places in combinations(range(width), size))
    return [np.uint64(sum(1 << place for place in places)) for places in chosen]


def _candidates(wanted: Words, bands: Words) -> Iterator[tuple[Places, Places]]:
    """Pairs of (place in `wanted`, place in the sorted `bands`) of equal numbers, some millions at a time."""
    begins = np.searchsorted(bands, wanted, side="left")
    counts = np.searchsorted(bands, wanted, side="right") - begins
    ends = np.cumsum(counts)
    done = 0
    while done < len(wanted):
        before = int(ends[done - 1]) if done else 0
        upto = max(done + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        sizes = counts[done:upto]
        i = np.repeat(np.arange(done, upto), sizes)
        within = np.arange(len(i)) - np.repeat(ends[done:upto] - sizes - before, sizes)
        yield i, np.repeat(begins[done:upto], sizes) + within
        done = upto
