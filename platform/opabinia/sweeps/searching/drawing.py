"""Draws configurations at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from opabinia.sweeps.searching.config import RandomSearch, SearchConfig

Item = TypeVar("Item")


def searched(items: Sequence[Item], search: SearchConfig) -> list[Item]:
    """Those of the items that the search runs, in the order of `items`."""
    if not isinstance(search, RandomSearch):
        return list(items)
    order = list(range(len(items)))
    random.Random(search.seed).shuffle(order)
    return [items[place] for place in sorted(order[: search.samples])]
