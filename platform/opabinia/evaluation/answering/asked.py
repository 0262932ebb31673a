"""What is asked, and in which batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SIMILAR = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing to ask. key: of its answer. text: the user's turn. image: as the benchmark names it, "" for none."""

    key: str
    text: str
    image: str


def batches_of(asked: Iterable[Asked], size: int, workers: int) -> list[list[Asked]]:
    """Each once, in batches of at most `size` and of no more than a worker's share.

    A batch is all with pictures or all without, of similar length, and questions about one picture stand together.
    """
    apart = [[one for one in dict.fromkeys(asked) if bool(one.image) is seen] for seen in (True, False)]
    fair = max(1, min(size, -(-sum(map(len, apart)) // max(1, workers))))
    return [batch for some in apart for batch in _cut(sorted(some, key=_order), fair)]


def _order(one: Asked) -> tuple[int, str, str]:
    return (len(one.text) // _SIMILAR, one.image, one.text)


def _cut(asked: Sequence[Asked], size: int) -> list[list[Asked]]:
    return [list(asked[start : start + size]) for start in range(0, len(asked), size)]
