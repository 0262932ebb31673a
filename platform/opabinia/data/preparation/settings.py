"""How a data set is cut into shards, and what its records must keep to."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class ShardingConfig(Config):
    """How prepared data are cut into shards."""

    shard_size: int = Field(default=10_000, ge=1)
    """Records in each shard but the last."""


class LimitsConfig(Config):
    """What a record must keep to besides being well formed."""

    max_words: int | None = Field(default=16_384, ge=1)
    """Words in all turns of a record, or null for no limit."""

    max_images: int | None = Field(default=8, ge=1)
    """Pictures of one record, or null for no limit. Each takes its visual tokens of the language model's context."""

    min_side: int = Field(default=8, ge=1)
    """Shorter side of a picture, pixels."""

    max_side: int = Field(default=16_384, ge=1)
    """Longer side of a picture, pixels."""

    max_aspect: float = Field(default=100.0, ge=1)
    """Longer side of a picture over its shorter one."""
