"""Settings of the search; torch-free, for they are part of the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from opabinia.config import Config


class GridSearch(Config):
    """Every configuration."""

    type: Literal["grid"] = "grid"


class RandomSearch(Config):
    """Some of them, drawn without repetition."""

    type: Literal["random"] = "random"

    samples: int = Field(gt=0)
    """How many configurations are drawn; each is run with every seed. Where there are no more than so many, all are run."""

    seed: int = Field(default=0, ge=0)
    """Of the draw. With the same one, more samples are those that fewer are, and others beside them."""


SearchConfig = Annotated[GridSearch | RandomSearch, Field(discriminator="type")]
