"""Settings of the feature cache."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class CacheConfig(Config):
    """Whether features are computed once and shared by all trials, and how they are read back."""

    enabled: bool = True
    """Compute each encoder's features once and share them between trials."""

    batch: int = Field(default=64, ge=1)
    """Images encoded at a time."""

    memory_mib: int = Field(default=1024, ge=0)
    """Columns that fit this many MiB together are held in memory by each reader; larger ones are read from disk."""
