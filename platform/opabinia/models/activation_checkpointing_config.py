"""Which parts compute their activations twice."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class ActivationCheckpointing(Config):
    """What the backward pass computes again instead of keeping: less memory for more time, and the same gradients."""

    decoder_layers: int = Field(default=0, ge=0)
    """Every so many-th layer of the language model, with what SVA reads again behind it: 1 for all, 2 for every other, 0 for none."""

    connector: bool = False
    """The connector."""

    encoders: bool = False
    """Every block of every encoder; saves nothing where the encoders are frozen."""
