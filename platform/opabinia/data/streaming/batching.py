"""Which samples share a row and a batch: in the order of the stream, grouped by length, or packed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from opabinia.config import Config


class PlainBatches(Config):
    """One sample a row, in the order of the stream."""

    type: Literal["plain"] = "plain"


class GroupedBatches(Config):
    """One sample a row; samples of similar length, all with pictures or all without, share a batch."""

    type: Literal["grouped"]

    window: int = Field(default=64, ge=1)
    """Batches among whose samples the groups are formed."""


class PackedBatches(Config):
    """Several samples a row, none of which sees another; `batch` then counts rows, not samples."""

    type: Literal["packed"]

    tokens: int = Field(ge=16)
    """Length of a row that is not exceeded, visual tokens included."""

    window: int = Field(default=4096, ge=1)
    """Samples among which those that fill rows well are looked for."""


BatchingConfig = Annotated[PlainBatches | GroupedBatches | PackedBatches, Field(discriminator="type")]


def check_batch(batch: int, workers: int, rows: int) -> None:
    """Raises ValueError, with the nearest batch that can, where workers cannot make up a batch of equal shares of whole parts."""
    unit = workers * rows
    if batch % unit:
        below, above = batch // unit * unit, -(-batch // unit) * unit
        nearest = below if below and batch - below <= above - batch else above
        raise ValueError(
            f"batch: {batch} rows are no multiple of {workers} workers with {rows} at a time; use {nearest}"
        )
