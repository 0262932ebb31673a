"""Settings of one training stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.streaming.batching import BatchingConfig, PlainBatches

Part = Literal["connector", "language_model"]
PositiveRate = Annotated[float, Field(gt=0)]


class StageConfig(Config):
    """One pass over one data source with some parts of the model trainable and the rest frozen."""

    name: str = Field(min_length=1)
    """What the stage is called in curves and checkpoints."""

    data: str = Field(min_length=1)
    """Which of data.sources it reads."""

    trains: tuple[Part, ...] = Field(min_length=1)
    """The parts of the model that learn in this stage; the others stay frozen."""

    steps: int = Field(gt=0)
    """Optimiser steps."""

    batch: int = Field(gt=0)
    """Samples in one step (rows of packed samples, with packed batches), summed over all workers."""

    per_device_batch: int | None = Field(default=None, gt=0)
    """Most of them that a worker computes on at once; the gradients of several such parts are added up. Null for all of its share."""

    batching: BatchingConfig = PlainBatches()
    """Which samples share a row and a batch."""

    lr: PositiveRate
    """Peak learning rate at base_batch; the rate used is lr·√(batch/base_batch)."""

    base_batch: int = Field(gt=0)
    """The batch that lr and learning_rates were tuned for."""

    learning_rates: dict[Part, PositiveRate] = Field(default={})
    """Peak learning rates, also at base_batch, of the parts that should not use lr."""

    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Fraction of the steps over which the learning rate rises from zero."""

    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay, applied to matrices only."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this global norm."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """The learning rate after the warm-up."""

    reports: int = Field(default=1, gt=0)
    """How often, evenly spaced and last at the end, the model is scored and a checkpoint written."""

    @model_validator(mode="after")
    def _parts_are_consistent(self) -> StageConfig:
        if self.reports > self.steps:
            raise ValueError(f"reports: {self.reports} reports need at least as many steps, got {self.steps}")
        if len(set(self.trains)) != len(self.trains):
            raise ValueError(f"trains: a part is listed twice in {list(self.trains)}; list each once")
        for part in self.learning_rates:
            if part not in self.trains:
                raise ValueError(f"learning_rates.{part}: not trained in this stage; add it to trains or drop its rate")
        return self


def rows_at_once(stage: StageConfig, workers: int) -> int:
    """How many rows a worker computes on at once: the largest equal parts of its share that per_device_batch allows.

    Where the share has no such parts, per_device_batch itself, which `check_batch` then refuses.
    """
    share = stage.batch // workers
    most = min(share, stage.per_device_batch or share)
    return next((rows for rows in range(most, 0, -1) if share % rows == 0), 1)
