"""Settings of `deformable_cross_attention`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from connectors.settings.base import ConnectorSettings


class DeformableCrossAttentionSettings(ConnectorSettings, frozen=True):
    """Tokens of the smallest grid choose where around their own place to sample all grids, then a two-layer MLP."""

    type: Literal["deformable_cross_attention"] = "deformable_cross_attention"

    width: int = Field(default=128, gt=0)
    """Width of the queries and of what is sampled; 256 as published."""

    heads: int = Field(default=4, gt=0)
    """Attention heads; must divide width; 8 as published."""

    points: int = Field(default=4, gt=0)
    """Places that a head samples in each encoder's grid."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> DeformableCrossAttentionSettings:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide width {self.width}")
        return self
