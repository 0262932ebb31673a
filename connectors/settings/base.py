"""What every connector lets an experiment set."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, field_validator


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
