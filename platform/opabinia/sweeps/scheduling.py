"""Settings of when weak trials are stopped or paused; torch-free, for they are part of the experiment file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from opabinia.config import Config

_COPYING = ("pbt", "pb2", "population_based_training", "pbt_replay")


class SchedulerConfig(Config):
    """Successive halving: at each rung the better trials go on. Time is counted in reports."""

    type: Literal["asha", "hyperband"] = Field(default="asha", exclude_if=lambda kind: kind == "asha")
    """asha: each trial that comes to a rung is compared with those that were there before it, and the weaker stop at once. hyperband
    (Li et al. 2018): trials are dealt to brackets, which begin with many trials and few reports, or with few trials and many reports;
    at each rung all of a bracket's trials pause with their state saved until the last is there, and the best go on from it."""

    metric: str = "score"
    """The reported number by which trials are compared."""

    mode: Literal["min", "max"] = "max"
    """Whether a small or a large metric is good."""

    grace: int = Field(default=1, gt=0)
    """No trial stops before this many reports; trials are compared then, and again after each reduction_factor-fold."""

    reduction_factor: int = Field(default=2, gt=1)
    """Each time the best one in this many goes on."""

    @field_validator("type", mode="before")
    @classmethod
    def _copies_no_weights(cls, kind: object) -> object:
        if kind in _COPYING:
            raise ValueError(
                f"{kind} copies weights from one trial to another, which these cannot take over: their architectures differ; use asha "
                "or hyperband"
            )
        return kind
