"""Which samples share a row, so that rows of a fixed length are nearly full."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


def pack(lengths: NDArray[np.int64], capacity: int) -> list[Places]:
    """Places in `lengths: [samples]`, shared out so that few packs hold more than they must; rising within each pack.

    A sample longer than `capacity` gets a pack of its own, as it would get a row of its own unpacked: how long samples may be is
    for tokenizing to say. No other pack exceeds `capacity`. Best fit, longest first: at most 11/9 of the fewest packs possible
    and 4 more (Johnson et al. 1974); the longest are in the first packs, so shuffle them before training.
    """
    order = np.argsort(-lengths, kind="stable")
    packs = list[list[int]]()
    rooms = list[tuple[int, int]]()
    """(room left, number of the pack), rising."""
    for sample, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        tightest = bisect_left(rooms, (length, 0))
        if tightest < len(rooms):
            room, number = rooms.pop(tightest)
        else:
            room, number = capacity, len(packs)
            packs.append([])
        packs[number].append(sample)
        insort(rooms, (room - length, number))
    return [np.array(sorted(samples), dtype=np.int64) for samples in packs]


def row_lengths(lengths: NDArray[np.int64], packs: Sequence[Places]) -> NDArray[np.int64]:
    """[packs], how much each holds of `lengths: [samples]`."""
    return np.array([lengths[samples].sum() for samples in packs], dtype=np.int64)


def padding_share(lengths: NDArray[np.int64], batch: int) -> float:
    """The share of positions without a token when rows of `lengths: [rows]` are padded, `batch` at a time, to the longest of them.

    A shorter last batch counts as well; nothing at all has no padding.
    """
    starts = np.arange(0, len(lengths), batch)
    if not len(starts):
        return 0.0
    rows = np.diff(np.append(starts, len(lengths)))
    positions = np.maximum.reduceat(lengths, starts) @ rows
    return float(1 - lengths.sum() / max(1, positions))
