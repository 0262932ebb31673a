"""When a step is skipped instead of trained on, and when a run that skips steps is stopped."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class GuardConfig(Config):
    """Steps whose loss or gradient is not finite, or far above what is usual, do not change the weights."""

    window: int = Field(default=128, ge=20)
    """Steps before this one that say what is usual."""

    warmup_steps: int = Field(default=32, ge=20)
    """Steps at the beginning of a stage in which only NaN and infinity are skipped."""

    factor: float | None = Field(default=4.0, gt=1)
    """A spike stands so many times as far above the median, in logarithms, as the 5 % highest steps begin; null skips no spikes."""

    in_a_row: int = Field(default=10, ge=0)
    """More skipped steps one after another stop the run."""

    in_all: int = Field(default=100, ge=0)
    """More skipped steps in one stage stop the run."""
