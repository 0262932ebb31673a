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


class TPESearch(Config):
    """Those that look best by the scores so far: Optuna's tree-structured Parzen estimator (Bergstra et al. 2011). Extra: search."""

    type: Literal["tpe"]

    samples: int = Field(gt=0)
    """How many configurations are drawn, one after another, each not drawn before; each is run with every seed, and what counts is
    the mean of their scores. With more samples, a sweep that has ended is gone on with by --extend."""

    seed: int = Field(default=0, ge=0)
    """Of the draws. They also follow the order in which trials end: sweep.max_concurrent: 1 repeats them exactly."""

    startup: int = Field(default=10, gt=0)
    """So many are drawn at random before the scores are looked at."""


class RoundRobinSearch(Config):
    """Greedy selection from the pool (Shi et al. 2024, "Eagle"): each round trains the best set so far joined by each encoder that is
    left, and the best of them goes on, until none is better than the set it grew from."""

    type: Literal["round_robin"] = "round_robin"

    start: EncoderSet = Field(min_length=1)
    """The set to begin with, from the pool; Eagle began with its best pair."""

    most: int | None = Field(default=None, gt=1)
    """End at so many encoders; null for as many as there are."""


SearchConfig = Annotated[GridSearch | RandomSearch | TPESearch | RoundRobinSearch, Field(discriminator="type")]
