"""Evenly spread subsets: few questions that still cover every task and source."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar


class HasTask(Protocol):
    """Anything that belongs to a task and comes from a source."""

    @property
    def task(self) -> str: ...

    @property
    def source(self) -> str: ...


Item = TypeVar("Item", bound=HasTask)


def spread_over_tasks(items: Sequence[Item], limit: int) -> list[Item]:
    """Pick at most `limit` items in their order, as equal over tasks, and over sources in a task, as sizes allow.

    Deterministic: within a task and source the picks are evenly spaced, so no part of the file is left out.
    """
    chosen: list[int] = []
    for task, quota in _shares(range(len(items)), limit, lambda index: items[index].task):
        for source, share in _shares(task, quota, lambda index: items[index].source):
            chosen += [source[(2 * rank + 1) * len(source) // (2 * share)] for rank in range(share)]
    return [items[index] for index in sorted(chosen)]


def _shares(indices: Sequence[int], limit: int, key: Callable[[int], Hashable]) -> list[tuple[list[int], int]]:
    """Group the indices by key and deal the limit out to the groups one by one, until it or every group is used up."""
    groups: dict[Hashable, list[int]] = {}
    for index in indices:
        groups.setdefault(key(index), []).append(index)
    quotas = dict.fromkeys(groups, 0)
    left = min(limit, len(indices))
    while left:
        for name, members in groups.items():
            if left and quotas[name] < len(members):
                quotas[name] += 1
                left -= 1
    return [(members, quotas[name]) for name, members in groups.items()]
