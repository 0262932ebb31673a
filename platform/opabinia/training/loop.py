"""The training loop of one stage."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from opabinia.data.collate import TextBatch
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Streamed
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.optimiser import build_optimiser, learning_rates
from opabinia.training.stages import StageConfig
from opabinia.training.visual_features import VisualFeatures


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: `number` counts from 1, `loss` is the mean over this worker's supervised tokens.

    position: where the data go on after it.
    """

    number: int
    position: StreamPosition
    loss: float
    rates: dict[str, float]
    data_seconds: float
    step_seconds: float


def train_stage(
    model: MultimodalModel,
    wrapped: nn.Module,
    stage: StageConfig,
    batches: Iterable[Streamed],
    features: VisualFeatures,
) -> Iterator[Step]:
    """Train one stage step by step; the caller decides what to do between steps (log, score, checkpoint, stop).

    `wrapped` is the model as the hardware wants it called (itself, or a data-parallel wrapper around it).
    Raises ValueError when the data end before the stage's steps do.
    """
    optimiser, schedule = build_optimiser(model, stage)
    wrapped.train()
    stream = iter(batches)
    for number in range(1, stage.steps + 1):
        started = time.perf_counter()
        streamed = next(stream, None)
        if streamed is None:
            raise ValueError(
                f"stages: {stage.name} has data for {number - 1} of its {stage.steps} steps; give it more samples"
            )
        grids = features.of_batch(streamed)
        ready = time.perf_counter()
        loss = _step(wrapped, streamed.batch, grids, stage.max_grad_norm)
        optimiser.step()
        rates = learning_rates(optimiser)
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        yield Step(number, streamed.position, loss, rates, ready - started, time.perf_counter() - ready)


def _step(wrapped: nn.Module, batch: TextBatch, grids: list[torch.Tensor], max_grad_norm: float) -> float:
    output = wrapped(batch.input_ids, grids, batch.attention_mask, batch.labels, samples=batch.samples)
    output.loss.backward()
    trained = [parameter for parameter in wrapped.parameters() if parameter.grad is not None]
    nn.utils.clip_grad_norm_(trained, max_grad_norm)
    return output.loss.item()
