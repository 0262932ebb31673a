"""What an experiment may set about each connector. No torch here: whoever reads an experiment file or asks for help waits for it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MLP_PATTERN = r"^mlp([1-9]\d?)x_gelu$"


class ConnectorSettings(BaseModel, frozen=True):
    """What every connector has."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True)

    type: str
    """Name of the connector."""

    queries: int = Field(default=16, gt=0)
    """Visual tokens given to the language model for one image; must be a square."""

    @field_validator("queries")
    @classmethod
    def _is_square(cls, queries: int) -> int:
        side = math.isqrt(queries)
        if side * side != queries:
            raise ValueError(f"{queries} is not a square; use {side**2} or {(side + 1) ** 2}")
        return queries


class MlpSettings(ConnectorSettings, frozen=True):
    """An MLP over the channel-concatenated grids of all encoders."""

    type: str = Field(default="mlp2x_gelu", pattern=MLP_PATTERN)
    """mlpNx_gelu: N linear layers with GELU between them."""

    @property
    def depth(self) -> int:
        """The N of the name."""
        return int(self.type.removeprefix("mlp").removesuffix("x_gelu"))


class SvaSettings(ConnectorSettings, frozen=True):
    """The spatial vision aggregator: learnt queries look at every encoder's grid, and layers of the LLM look again."""

    type: Literal["sva"] = "sva"

    width: int = Field(default=128, gt=0)
    """Width of the queries and of the attention inside the connector."""

    depth: int = Field(default=1, gt=0)
    """Cross-attention layers before the language model."""

    groups: int = Field(default=1, gt=0)
    """Groups of learnt queries."""

    heads: int = Field(default=4, gt=0)
    """Attention heads; must divide width."""

    in_llm_start: int = Field(default=0, ge=0)
    """First layer of the language model that reads the grids again."""

    in_llm_stride: int = Field(default=1, gt=0)
    """Layers of the language model between two that read the grids."""

    in_llm_count: int = Field(default=2, ge=0)
    """How many layers of the language model read the grids; 0 for none."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> SvaSettings:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide width {self.width}")
        return self

    @property
    def inner_layers(self) -> tuple[int, ...]:
        """Indices of the language model's layers after which the grids are read again."""
        return tuple(self.in_llm_start + self.in_llm_stride * place for place in range(self.in_llm_count))
