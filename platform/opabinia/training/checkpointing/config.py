"""When checkpoints are written, and which of them stay."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class CheckpointConfig(Config):
    """Temporary checkpoints by the clock, each replacing the one before, and permanent ones by the step."""

    every_minutes: float | None = Field(default=10.0, gt=0)
    """Minutes from one checkpoint to the next temporary one; null for none by the clock."""

    keep_every_steps: int | None = Field(default=None, gt=0)
    """Every so many steps a checkpoint is written that stays; null for none. The last temporary one stays in any case."""

    def keeps(self, step: int) -> bool:
        """Whether the checkpoint of `step` (counted from 1 over all stages) is a permanent one."""
        return self.keep_every_steps is not None and step % self.keep_every_steps == 0
