"""Settings of the feature cache."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config
from opabinia.features.precision import Precision


class CacheConfig(Config):
    """Whether features are computed once and shared by all trials, how they are stored, and how they are read back."""

    enabled: bool = True
    """Compute each encoder's features once and share them between trials."""

    precision: Precision = "float16"
    """How features are stored: float32 exactly as computed; int8 with a scale a token, the smallest. Each has a table of its own."""

    budget_gb: float | None = Field(default=None, gt=0)
    """Most that the table may take on disk, in GB (10^9 bytes); null for what the disk has."""

    batch: int = Field(default=64, ge=1)
    """Images encoded at a time."""

    memory_mib: int = Field(default=1024, ge=0)
    """Columns that fit this many MiB together are held in memory by each reader; larger ones are read from disk."""
