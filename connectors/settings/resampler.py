"""Settings of `resampler`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from connectors.settings.base import ConnectorSettings


class ResamplerSettings(ConnectorSettings, frozen=True):
    """Learnt queries attend to all tokens of all encoders, wherever in the picture they are."""

    type: Literal["resampler"] = "resampler"

    width: int = Field(default=128, gt=0)
    """Width of the queries and of the attention; a multiple of 4 and of heads."""

    depth: int = Field(default=2, gt=0)
    """Layers of attention and feed-forward."""

    heads: int = Field(default=4, gt=0)
    """Attention heads; must divide width."""

    @model_validator(mode="after")
    def _width_can_be_split(self) -> ResamplerSettings:
        if self.width % 4:
            lower = self.width // 4 * 4
            nearest = f"{lower} or {lower + 4}" if lower else "4"
            raise ValueError(f"width: {self.width} is not a multiple of 4, as codes of places need; use {nearest}")
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide width {self.width}")
        return self
