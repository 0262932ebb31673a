"""The workers that save and load together, over gloo groups of their own: nothing here meets the collectives of training."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist

from opabinia.training.checkpointing.failures import one_line

Result = TypeVar("Result")

LONGEST_WRITE = timedelta(hours=2)
"""How long a worker waits for the slowest other one to have written its share."""


class Workers:
    """All processes of torch.distributed's default group, or this one alone where there is none.

    Making one is collective: every worker does, in the same order among its collectives.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self.rank: int = dist.get_rank() if together else 0
        self.count: int = dist.get_world_size() if together else 1
        self.writing: dist.ProcessGroup | None = _new_group() if together else None
        """For the background, where a write may be going on."""
        self._deciding: dist.ProcessGroup | None = _new_group() if together else None

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def any(self, wanted: bool) -> bool:
        """Whether any worker wants it."""
        if self._deciding is None:
            return wanted
        votes = torch.tensor(int(wanted))
        dist.all_reduce(votes, dist.ReduceOp.MAX, group=self._deciding)
        return bool(votes)

    def first(self, find: Callable[[], str | None]) -> str | None:
        """What the first worker finds, for all. Raises ValueError on all when it does on the first."""
        found = [_attempt(find) if self.is_first else (None, None)]
        if self._deciding is not None:
            dist.broadcast_object_list(found, src=0, group=self._deciding)
        result, error = found[0]
        if error is not None:
            raise ValueError(error)
        return result

    def all(self, act: Callable[[], Result]) -> Result:
        """What `act` returns here. Raises ValueError on all workers, saying why, when it does on one of them."""
        result, error = _attempt(act)
        errors: list[Any] = [error]
        if self._deciding is not None:
            errors = [None] * self.count
            dist.all_gather_object(errors, error, group=self._deciding)
        for found in errors:
            if found is not None:
                raise ValueError(found)
        return cast(Result, result)


def _attempt(act: Callable[[], Result]) -> tuple[Result | None, str | None]:
    """What it returns, or why it raised a ValueError or OSError."""
    try:
        return act(), None
    except (ValueError, OSError) as error:
        return None, one_line(error)


def _new_group() -> dist.ProcessGroup:
    return cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=LONGEST_WRITE))
