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
from opabinia.training.guard import Guard, Verdict
from opabinia.training.memory_estimate import MemoryFacts
from opabinia.training.optimiser import Optimiser, learning_rates
from opabinia.training.out_of_memory import advising
from opabinia.training.skipped_steps import ROW_COLUMNS, SkippedPart, SkippedSteps
from opabinia.training.stages import StageConfig
from opabinia.training.visual_features import VisualFeatures


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `number` counts from 1, `loss` is the mean over the supervised tokens of all workers.

    skipped: why the weights were left as they were, None where they learnt. position: where the data go on after it.
    padding: the share of this worker's positions that held no token.
    """

    number: int
    position: StreamPosition
    loss: float
    skipped: str | None
    rates: dict[str, float]
    padding: float
    data_seconds: float
    step_seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What is kept an eye on while a stage trains.

    guard: which steps must not change the weights. skipped: where those are written down. memory: what takes how much of it.
    """

    guard: Guard
    skipped: SkippedSteps
    memory: MemoryFacts


def train_stage(
    model: MultimodalModel,
    optimiser: Optimiser,
    stage: StageConfig,
    batches: Iterable[Streamed],
    features: VisualFeatures,
    together: Together,
    watch: Watch,
    *,
    done: int = 0,
) -> Iterator[Step]:
    """Train one stage step by step, `done` of which are behind; the caller decides what to do in between (log, score, save, stop).

    Raises ValueError when the data end before the stage's steps do, when too many steps had to be skipped, and, saying what would
    help, when memory is short.
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
        with advising(lambda: watch.memory):
            grids = [features.of_batch(part) for part in streamed.parts]
            ready = time.perf_counter()
            losses, loss = _gradients(model, streamed.parts, grids, together)
        norm = float(nn.utils.clip_grad_norm_(optimiser.parameters, stage.max_grad_norm))
        rates = learning_rates(optimiser)
        verdict = watch.guard.judge(loss, norm)
        if verdict.skips:
            _record(watch.skipped, number, (loss, norm), verdict, streamed.parts, losses, together)
            optimiser.skip()
        else:
            optimiser.step()
        padding = _padding(streamed.parts, model.visual_lengths(1, None)[0])
        passed = time.perf_counter() - ready
        yield Step(number, streamed.position, loss, verdict.reason, rates, padding, ready - started, passed)


def _padding(parts: tuple[Part, ...], visual_tokens: int) -> float:
    lengths = [row_lengths(part.batch, visual_tokens) for part in parts]
    positions = sum(len(rows) * int(rows.max()) for rows in lengths)
    return 1 - sum(int(rows.sum()) for rows in lengths) / positions


def _gradients(
    model: MultimodalModel, parts: tuple[Part, ...], grids: list[list[Tensor]], together: Together
) -> tuple[list[float], float]:
    """Leave the gradients of the mean loss over all workers' tokens in the parameters; the losses of the parts, and that loss.

    Every token counts the same, however they are spread over parts and workers.
    """
    counts = [int((part.batch.labels[:, 1:] != IGNORE).sum()) for part in parts]
    tokens = together.total(sum(counts))
    losses = list[float]()
    loss = 0.0
    for part, count, grid in zip(parts, counts, grids, strict=True):
        batch = part.batch
        output = model(batch.input_ids, grid, batch.attention_mask, batch.labels, samples=batch.samples)
        share = output.loss * (count / tokens)
        # Text alone reaches no connector.
        if share.requires_grad:
            share.backward()
        losses.append(float(output.loss.detach()))
        loss += share.item()
    together.add_gradients(model)
    return losses, together.total(loss)


def _record(
    skipped: SkippedSteps,
    number: int,
    measured: tuple[float, float],
    verdict: Verdict,
    parts: tuple[Part, ...],
    losses: list[float],
    together: Together,
) -> None:
    """Write down what was in a skipped step. Raises ValueError when it was one too many."""
    rows = [part.table.select(list(ROW_COLUMNS)).to_pylist() for part in parts]
    skipped.record(number, *measured, verdict, [SkippedPart(*both) for both in zip(losses, rows, strict=True)])
    if verdict.stop:
        # Every worker has recorded before one of them raises.
        together.total(0)
        raise skipped.stopped(number, verdict)
