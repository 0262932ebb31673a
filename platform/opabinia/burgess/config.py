"""Settings of the toy world."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from opabinia.config import Config


class WorldConfig(Config):
    """What `opabinia.burgess` renders, and where it writes."""

    folder: Path = Path("runs/world")
    """Where shards and images are written; an existing world with the same settings is reused."""

    scenes: int = Field(default=3000, gt=0)
    """Training pictures; each gets a caption for alignment and a conversation for instruction tuning."""

    facts: int = Field(default=300, ge=0)
    """Text-only conversations among the instruction records."""

    benchmark: int = Field(default=240, gt=0)
    """Held-out questions in each benchmark family."""

    seed: int = Field(default=0, ge=0)
    """Same seed, same bytes."""

    shard_size: int = Field(default=500, gt=0)
    """Records in one JSONL shard."""
