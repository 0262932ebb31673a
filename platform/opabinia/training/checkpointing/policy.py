"""Whether it is time for a checkpoint: one answer for all workers."""

from __future__ import annotations

import time
from collections.abc import Callable

from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.group import Workers

Clock = Callable[[], float]


class Policy:
    """Follows the first worker's clock (seconds, from any origin) and the steps that were saved."""

    def __init__(self, config: CheckpointConfig, workers: Workers, clock: Clock = time.monotonic) -> None:
        self._config = config
        self._workers = workers
        self._clock = clock
        self._saved_at = clock()
        self._saved_step: int | None = None

    def is_due(self, step: int, *, last: bool = False, asked: bool = False) -> bool:
        """Whether to save after `step`; every worker calls this after every step, and all get the same answer.

        last: whether no step follows (the same on all workers).
        asked: whether this worker wants one now, because its machine is about to be taken away; one worker is enough.
        """
        if step == self._saved_step:
            return False
        if last or self._config.keeps(step):
            return True
        return self._workers.any(asked or (self._workers.is_first and self._minutes_are_over()))

    def note_saved(self, step: int) -> None:
        """The minutes count from here on."""
        self._saved_at = self._clock()
        self._saved_step = step

    def _minutes_are_over(self) -> bool:
        minutes = self._config.every_minutes
        return minutes is not None and self._clock() - self._saved_at >= 60 * minutes
