"""Settings of the search; torch-free, for they are part of the experiment file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from opabinia.config import Config

EncoderSet = tuple[str, ...]


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


class RoundRobinSearch(Config):
    """Greedy selection from the pool (Shi et al. 2024, "Eagle"): each round trains the best set so far joined by each encoder that is
    left, and the best of them goes on, until none is better than the set it grew from."""

    type: Literal["round_robin"] = "round_robin"

    start: EncoderSet = Field(min_length=1)
    """The set to begin with, from the pool; Eagle began with its best pair."""

    most: int | None = Field(default=None, gt=1)
    """End at so many encoders; null for as many as there are."""


SearchConfig = Annotated[GridSearch | RandomSearch | RoundRobinSearch, Field(discriminator="type")]
