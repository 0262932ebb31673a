"""Settings of `sva`."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from connectors.settings.base import ConnectorSettings


class SvaSettings(ConnectorSettings, frozen=True):
    """The spatial vision aggregator: learnt queries look at every encoder's grid, and layers of the LLM look again."""

    type: Literal["sva"] = "sva"

    width: int = Field(default=128, gt=0)
    """Width of the queries and of the attention inside the connector."""

    depth: int = Field(default=1, gt=0)
    """Cross-attention layers before the language model."""

    groups: tuple[int, ...] = ()
    """Queries of each group of learnt queries, squares; empty for one group of `queries`."""

    heads: int = Field(default=4, gt=0)
    """Attention heads; must divide width."""

    in_llm_start: int = Field(default=0, ge=0)
    """First layer of the language model that reads the grids again."""

    in_llm_stride: int = Field(default=1, gt=0)
    """Layers of the language model between two that read the grids."""

    in_llm_count: int = Field(default=2, ge=0)
    """How many layers of the language model read the grids; 0 for none."""

    @field_validator("groups")
    @classmethod
    def _are_squares(cls, groups: tuple[int, ...]) -> tuple[int, ...]:
        for place, count in enumerate(groups):
            side = math.isqrt(max(count, 0))
            if side == 0 or side * side != count:
                raise ValueError(
                    f"groups.{place}: {count} is not a square; use {max(1, side) ** 2} or {(side + 1) ** 2}"
                )
        return groups

    @model_validator(mode="after")
    def _heads_divide_width(self) -> SvaSettings:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide width {self.width}")
        return self

    @property
    def inner_layers(self) -> tuple[int, ...]:
        """Indices of the language model's layers after which the grids are read again."""
        return tuple(self.in_llm_start + self.in_llm_stride * place for place in range(self.in_llm_count))
