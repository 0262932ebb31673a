"""How an experiment names a connector and its settings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from opabinia.config import Config
from opabinia.names import unknown

_MLP_PATTERN = r"^mlp([1-9]\d?)x_gelu$"
_KNOWN_TYPES = ("mlp2x_gelu", "sva")


class _ConnectorSettings(Config):
    queries: int = Field(default=16, gt=0)
    """Visual tokens given to the language model for one image; must be a square."""

    @field_validator("queries")
    @classmethod
    def _is_square(cls, queries: int) -> int:
        side = math.isqrt(queries)
        if side * side != queries:
            raise ValueError(f"{queries} is not a square; use {side**2} or {(side + 1) ** 2}")
        return queries


class MlpConfig(_ConnectorSettings):
    """An MLP over the channel-concatenated grids of all encoders."""

    type: str = Field(default="mlp2x_gelu", pattern=_MLP_PATTERN)
    """mlpNx_gelu: N linear layers with GELU between them."""


class SvaConfig(_ConnectorSettings):
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
    def _heads_divide_width(self) -> SvaConfig:
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} does not divide width {self.width}")
        return self


def _check_type(value: object) -> object:
    if isinstance(value, Mapping):
        kind = cast("Mapping[str, Any]", value).get("type")
        if kind is None:
            raise ValueError(f"type: missing; choose one of {', '.join(_KNOWN_TYPES)}")
        if kind not in _KNOWN_TYPES and not re.match(_MLP_PATTERN, str(kind)):
            raise unknown("connector", str(kind), _KNOWN_TYPES, place="type")
    return cast("object", value)


def _family(value: object) -> str:
    kind: object = getattr(value, "type", None)
    if isinstance(value, Mapping):
        kind = cast("Mapping[str, Any]", value).get("type")
    return "sva" if kind == "sva" else "mlp"


ConnectorConfig = Annotated[
    Annotated[MlpConfig, Tag("mlp")] | Annotated[SvaConfig, Tag("sva")],
    Discriminator(_family),
    BeforeValidator(_check_type),
]
