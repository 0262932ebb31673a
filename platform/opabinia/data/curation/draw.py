"""Drawing at random without order or memory: every record has a number of its own, and the lowest numbers are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrow import ArrowArray
from opabinia.data.curation.index import Codes, Labels
from opabinia.data.scramble import STEP, Words, scramble


def draw_numbers(ids: ArrowArray, sources: Labels, seed: int) -> Words:
    """[rows]: a pseudo-random number for each record, from the seed, its source and its id alone.

    Shards, their sizes and their order make no difference. Records that share source and id are told apart by which of them comes
    first, so that data without good ids are drawn from evenly too.
    """
    numbers = np.fromiter(_hashes(ids, sources, seed), dtype=np.uint64, count=len(sources.codes))
    return _told_apart(numbers)


def lowest(numbers: Words, groups: Codes, limits: Sequence[int]) -> NDArray[np.bool_]:
    """[rows]: whether a row is among the `limits[group]` lowest numbers of its group; rows of group −1 are not."""
    order = np.lexsort((numbers, groups))
    ordered = groups[order]
    within = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    chosen = np.zeros(len(order), dtype=np.bool_)
    # The limit of group −1 stands last, where the index −1 finds it.
    chosen[order] = within < np.array([*limits, 0], dtype=np.int64)[ordered]
    return chosen


def _hashes(ids: ArrowArray, sources: Labels, seed: int) -> Iterator[int]:
    starts = [hashlib.blake2b(f"{seed}\0{name}\0".encode(), digest_size=8) for name in (*sources.names, "")]
    place = 0
    for chunk in ids.chunks:
        codes: list[int] = sources.codes[place : place + len(chunk)].tolist()
        identities: list[str | None] = chunk.to_pylist()
        for identity, code in zip(identities, codes, strict=True):
            digest = starts[code].copy()
            digest.update((identity or "").encode())
            yield int.from_bytes(digest.digest(), "little")
        place += len(chunk)


def _told_apart(numbers: Words) -> Words:
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    repeat = (np.arange(len(order)) - np.searchsorted(ordered, ordered)).astype(np.uint64)
    apart = np.empty_like(numbers)
    apart[order] = np.where(repeat == 0, ordered, scramble(ordered + repeat * STEP))
    return apart
