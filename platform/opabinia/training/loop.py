"""The training loop of one stage."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from opabinia.data.collate import row_lengths
from opabinia.data.prompts import IGNORE
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.data_parallel import Together
from opabinia.training.optimiser import Optimiser, learning_rates
from opabinia.training.stages import StageConfig
from opabinia.training.visual_features import VisualFeatures


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: `number` counts from 1, `loss` is the mean over the supervised tokens of all workers.

    position: where the data go on after it. padding: the share of this worker's positions that held no token.
    """

    number: int
    position: StreamPosition
    loss: float
    rates: dict[str, float]
    padding: float
    data_seconds: float
    step_seconds: float


def train_stage(
    model: MultimodalModel,
    optimiser: Optimiser,
    stage: StageConfig,
    batches: Iterable[Streamed],
    features: VisualFeatures,
    together: Together,
    *,
    done: int = 0,
) -> Iterator[Step]:
    """Train one stage step by step, `done` of which are behind; the caller decides what to do in between (log, score, save, stop).

    Raises ValueError when the data end before the stage's steps do.
    """
    model.train()
    stream = iter(batches)
    for number in range(done + 1, stage.steps + 1):
        started = time.perf_counter()
        streamed = next(stream, None)
        if streamed is None:
            raise ValueError(
                f"stages: {stage.name} has data for {number - 1} of its {stage.steps} steps; give it more samples"
            )
        grids = [features.of_batch(part) for part in streamed.parts]
        ready = time.perf_counter()
        loss = _gradients(model, streamed.parts, grids, together)
        nn.utils.clip_grad_norm_(optimiser.parameters, stage.max_grad_norm)
        rates = learning_rates(optimiser)
        optimiser.step()
        padding = _padding(streamed.parts, model.visual_lengths(1, None)[0])
        yield Step(number, streamed.position, loss, rates, padding, ready - started, time.perf_counter() - ready)


def _padding(parts: tuple[Part, ...], visual_tokens: int) -> float:
    lengths = [row_lengths(part.batch, visual_tokens) for part in parts]
    positions = sum(len(rows) * int(rows.max()) for rows in lengths)
    return 1 - sum(int(rows.sum()) for rows in lengths) / positions


def _gradients(model: MultimodalModel, parts: tuple[Part, ...], grids: list[list[Tensor]], together: Together) -> float:
    """Leave the gradients of the mean loss over all workers' tokens in the parameters; that loss.

    Every token counts the same, however they are spread over parts and workers.
    """
    counts = [int((part.batch.labels[:, 1:] != IGNORE).sum()) for part in parts]
    tokens = together.total(sum(counts))
    loss = 0.0
    for part, count, grid in zip(parts, counts, grids, strict=True):
        batch = part.batch
        output = model(batch.input_ids, grid, batch.attention_mask, batch.labels, samples=batch.samples)
        share = output.loss * (count / tokens)
        # Text alone reaches no connector.
        if share.requires_grad:
            share.backward()
        loss += share.item()
    together.add_gradients(model)
    return together.total(loss)
