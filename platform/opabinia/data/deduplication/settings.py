"""How alike two records or pictures must be to count as the same."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config

FARTHEST = 11
"""Bits beyond which the search for near pictures would take too long, and pictures are no longer alike."""


class DeduplicationConfig(Config):
    """When two records are the same: equal text, up to case and spaces, and the same pictures."""

    distance: int | None = Field(default=2, ge=0, le=FARTHEST)
    """Bits (of 64) in which the difference hashes of two pictures may differ, or null for pictures that are equal byte for byte."""


class LeakageConfig(Config):
    """When a benchmark's picture counts as seen in training."""

    distance: int = Field(default=0, ge=0, le=FARTHEST)
    """Bits (of 64) in which the difference hashes may differ; 0 as in Cambrian-1's audit."""
