"""When checkpoints are written, and which of them stay."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from opabinia.config import Config
from opabinia.storage.addresses import absolute_address, parse_address


class CheckpointConfig(Config):
    """Temporary checkpoints by the clock, each replacing the one before, and permanent ones by the step."""

    every_minutes: float | None = Field(default=10.0, gt=0)
    """Minutes from one checkpoint to the next temporary one; null for none by the clock."""

    keep_every_steps: int | None = Field(default=None, gt=0)
    """Every so many steps a checkpoint is written that stays; null for none. The last temporary one stays in any case."""

    address: str | None = None
    """Where each run keeps them, below a folder of its name: s3://, gs:// or an absolute path that all machines reach, of this
    experiment alone. The same experiment, started again, goes on from there on any machine. Null for the run's own folder."""

    @field_validator("address")
    @classmethod
    def _holds_anywhere(cls, address: str | None) -> str | None:
        if address is not None and isinstance(place := parse_address(address), Path) and not place.is_absolute():
            raise ValueError(f"{address}: workers run in folders of their own; write {absolute_address(address)}")
        return address

    def keeps(self, step: int) -> bool:
        """Whether the checkpoint of `step` (counted from 1 over all stages) is a permanent one."""
        return self.keep_every_steps is not None and step % self.keep_every_steps == 0
