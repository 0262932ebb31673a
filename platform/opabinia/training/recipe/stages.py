"""Settings of one training stage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.streaming.batching import BatchingConfig, PackedBatches, PlainBatches
from opabinia.encoders.catalogue import find_encoder
from opabinia.training.recipe.parts import Part, nearest_of

PositiveRate = Annotated[float, Field(gt=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]

EACH: Final = "each"
"""Stands in `alone` for one stage an encoder."""


class StageSettings(Config):
    """One pass over one data source with some parts of the model trainable and the rest frozen; how long, subclasses say."""

    name: str = Field(min_length=1)
    """What the stage is called in curves and checkpoints."""

    data: str = Field(min_length=1)
    """Which of data.sources it reads."""

    trains: tuple[Part, ...] = Field(min_length=1)
    """The parts that learn, the others stay frozen: connector (with its layers inside the language model), sva (only its SVA layers
    and queries), sva_in_llm (only those inside the language model), language_model, encoders, or encoders.ID for one encoder."""

    alone: str | None = None
    """Pre-alignment: the model sees this encoder only, through a two-layer MLP of its own that is dropped after the stage; `each`
    for one such stage an encoder (Shi et al. 2024, "vision-language pre-alignment"). Null for the whole model."""

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
    """Peak learning rates, also at base_batch, of the parts that should not use lr. What is a part of another, as sva_in_llm of
    connector and encoders.ID of encoders, becomes a group of its own; where the model has no such part its rate is not used."""

    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Fraction of the steps over which the learning rate rises from zero."""

    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps over which it rises, in place of warmup; null for that fraction."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """The learning rate after the warm-up."""

    floor: float = Field(default=0.0, ge=0, le=1)
    """Fraction of the peak at which cosine and linear end."""

    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay, applied to matrices only."""

    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """AdamW's memory of gradients and of their squares."""

    eps: float = Field(default=1e-8, gt=0)
    """What AdamW adds to the root of the squares."""

    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this global norm."""

    reports: int = Field(default=1, gt=0)
    """How often, evenly spaced and last at the end, the model is scored and a checkpoint written."""

    @model_validator(mode="after")
    def _parts_are_consistent(self) -> StageSettings:
        if len(set(self.trains)) != len(self.trains):
            raise ValueError(f"trains: a part is listed twice in {list(self.trains)}; list each once")
        for part in self.learning_rates:
            if nearest_of(part, self.trains) is None:
                raise ValueError(f"learning_rates.{part}: not trained in this stage; add it to trains or drop its rate")
        if self.alone is not None and self.alone != EACH:
            find_encoder(self.alone, "alone")
        return self


class StageConfig(StageSettings):
    """A stage of a run: its length is known, and so is the encoder that it may be about."""

    steps: int = Field(gt=0)
    """Optimiser steps."""

    @model_validator(mode="after")
    def _is_ready(self) -> StageConfig:
        _check_length(self, self.steps)
        if self.alone == EACH:
            raise ValueError(f"alone: {EACH} stands for one stage an encoder; name one, or null for the whole model")
        return self


class WrittenStage(StageSettings):
    """A stage as an experiment states it: in steps or in epochs, and perhaps for each encoder in turn."""

    steps: int | None = Field(default=None, gt=0)
    """Optimiser steps; null where epochs are given."""

    epochs: float | None = Field(default=None, gt=0)
    """How often the data are gone through; null where steps are given."""

    @model_validator(mode="after")
    def _has_one_length(self) -> WrittenStage:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps: give steps or epochs, one of the two")
        if self.epochs is not None and isinstance(self.batching, PackedBatches):
            raise ValueError("epochs: how many rows an epoch packs into is not known beforehand; give steps")
        if self.steps is not None:
            _check_length(self, self.steps)
        return self


def stages_of_run(
    stages: Sequence[WrittenStage], encoders: Sequence[str], records: Mapping[str, int]
) -> tuple[StageConfig, ...]:
    """The stages of a run with these encoders, one after another. `records`: how many each data source has, by its name.

    Raises ValueError naming the field where a stage cannot be had: more reports than steps, or an encoder that the run has not.
    """
    return tuple(_in_steps(one, records) for stage in stages for one in _alone_in_turn(stage, encoders))


def steps_of_epochs(epochs: float, records: int, batch: int) -> int:
    """Steps of `batch` records that go through `records` so often; the last one is filled from what comes next."""
    # As the epochs are written: 0.1 of 30 records are 3, and not a little more.
    return math.ceil(Fraction(str(epochs)) * records / batch)


def warmup_length(stage: StageConfig) -> int:
    """Steps of the warm-up."""
    return math.ceil(stage.warmup * stage.steps) if stage.warmup_steps is None else stage.warmup_steps


def stage_seed(seed: int, place: int) -> int:
    """Of what is drawn for stage number `place` of a run with this seed, the same in every attempt."""
    return seed * 1000 + place


def rows_at_once(stage: StageConfig, workers: int) -> int:
    """How many rows a worker computes on at once: the largest equal parts of its share that per_device_batch allows.

    Where the share has no such parts, per_device_batch itself, which `check_batch` then refuses.
    """
    share = stage.batch // workers
    most = min(share, stage.per_device_batch or share)
    return next((rows for rows in range(most, 0, -1) if share % rows == 0), 1)


def _alone_in_turn(stage: WrittenStage, encoders: Sequence[str]) -> list[WrittenStage]:
    if stage.alone == EACH:
        changes = [{"name": f"{stage.name}.{encoder}", "alone": encoder} for encoder in encoders]
        return [stage.model_copy(update=change) for change in changes]
    if stage.alone is not None and stage.alone not in encoders:
        raise ValueError(
            f"stages: {stage.name} is about {stage.alone} alone, which is not among {', '.join(encoders)}; "
            f"add it to the encoders or write alone: {EACH}"
        )
    return [stage]


def _in_steps(stage: WrittenStage, records: Mapping[str, int]) -> StageConfig:
    settings = stage.model_dump(exclude={"epochs"})
    if stage.epochs is not None:
        settings["steps"] = steps_of_epochs(stage.epochs, records[stage.data], stage.batch)
    return StageConfig.model_validate(settings)


def _check_length(stage: StageSettings, steps: int) -> None:
    if stage.reports > steps:
        raise ValueError(f"reports: {stage.reports} reports need at least as many steps, got {steps}")
    if stage.warmup_steps is not None and stage.warmup_steps >= steps:
        raise ValueError(f"warmup_steps: {stage.warmup_steps} leaves none of the {steps} steps; lower it below {steps}")
