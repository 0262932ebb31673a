"""How a learning rate follows the batch and the steps."""

from __future__ import annotations

import math

from opabinia.training.recipe.parts import nearest_of
from opabinia.training.recipe.stages import StageConfig, warmup_length


def scaled_learning_rate(base_lr: float, batch: int, base_batch: int) -> float:
    """Return `base_lr`, tuned for `base_batch` samples a step, moved to `batch` samples: base_lr·√(batch/base_batch).

    Both batches are global: samples a step summed over all workers.
    """
    if batch <= 0 or base_batch <= 0:
        raise ValueError(f"batch and base_batch must be positive, got batch={batch} and base_batch={base_batch}")
    return base_lr * math.sqrt(batch / base_batch)


def peak_learning_rate(stage: StageConfig, part: str) -> float:
    """The highest rate of a part at the stage's own batch: from the rate stated for it, for what it is a part of, or for all."""
    stated = nearest_of(part, stage.learning_rates)
    base = stage.lr if stated is None else stage.learning_rates[stated]
    return scaled_learning_rate(base, stage.batch, stage.base_batch)


def rate_factor(stage: StageConfig, step: int) -> float:
    """Fraction of the peak learning rate at `step` of a stage, counted from 0: linear warm-up, then the stage's schedule."""
    warmup = warmup_length(stage)
    if step < warmup:
        return (step + 1) / warmup
    if stage.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(1, stage.steps - warmup)
    left = 0.5 * (1 + math.cos(math.pi * done)) if stage.schedule == "cosine" else 1 - done
    return stage.floor + (1 - stage.floor) * left
