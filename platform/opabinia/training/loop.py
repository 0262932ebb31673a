"""The training loop of one stage."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from opabinia.data.prompts import IGNORE
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.models.places import Places
from opabinia.training.backends.backend import Backend
from opabinia.training.memory.estimate import MemoryFacts
from opabinia.training.memory.out_of_memory import advising
from opabinia.training.optimisation.optimiser import Optimiser, learning_rates
from opabinia.training.placing import Placing
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.safeguards.guard import Guard, Verdict
from opabinia.training.safeguards.lasting import LastingError
from opabinia.training.safeguards.skipped_steps import ROW_COLUMNS, SkippedPart, SkippedSteps
from opabinia.training.visual_features import VisualFeatures


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `number` counts from 1, `loss` is the mean over the supervised tokens of all workers.

    skipped: why the weights were left as they were, None where they learnt. position: where the data go on after it.
    padding: the share of this worker's positions that held no token. data_seconds: until its batch had come and been laid out, most
    of which passed while the device computed the step before. step_seconds: from then on, the next batch's among them.
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


@dataclass(frozen=True, slots=True)
class Trained:
    """What learns, how, and on what. learner: a `Learner` as the backend wrapped it. placing: how it is given its batches."""

    learner: nn.Module
    optimiser: Optimiser
    backend: Backend
    placing: Placing


@dataclass(frozen=True, slots=True)
class _Batch:
    """This worker's part of a step's samples, laid out for the device in `seconds` on the host."""

    streamed: Streamed
    laid_out: list[tuple[Places, list[Tensor]]]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Measured:
    """Scalars on the device: the mean loss over the tokens of all workers, and of each part of this worker's batch."""

    loss: Tensor
    parts: list[Tensor]


def train_stage(
    trained: Trained,
    stage: StageConfig,
    batches: Iterable[Streamed],
    features: VisualFeatures,
    watch: Watch,
    *,
    done: int = 0,
) -> Iterator[Step]:
    """Train one stage step by step, `done` of which are behind; the caller decides what to do in between (log, score, save, stop).

    The host waits for the device once a step, for what the guard decides by; until then it lays out the next batch.
    Raises LastingError when the data end before the stage's steps do, when too many steps had to be skipped, and ValueError, saying
    what would help, when memory is short.
    """
    trained.learner.train()
    stream, upcoming = iter(batches), None
    for number in range(done + 1, stage.steps + 1):
        with advising(lambda: watch.memory):
            batch = upcoming or _next(stream, trained, features)
            if batch is None:
                raise LastingError(
                    f"stages: {stage.name} has data for {number - 1} of its {stage.steps} steps; give it more samples"
                )
            started = time.perf_counter()
            measured = _gradients(trained, batch.laid_out)
            norm = _clip(trained.optimiser.parameters, stage.max_grad_norm)
            upcoming = _next(stream, trained, features) if number < stage.steps else None
            loss, gradient_norm = _numbers([measured.loss, norm])
        rates = learning_rates(trained.optimiser)
        verdict = watch.guard.judge(loss, gradient_norm)
        if verdict.skips:
            parts = batch.streamed.parts
            _record(watch.skipped, number, (loss, gradient_norm), verdict, parts, measured, trained.backend)
            trained.optimiser.skip()
        else:
            trained.optimiser.step()
        trained.backend.finish_step()
        passed = time.perf_counter() - started
        padding = _padding([places for places, _ in batch.laid_out])
        yield Step(number, batch.streamed.position, loss, verdict.reason, rates, padding, batch.seconds, passed)


def _next(stream: Iterator[Streamed], trained: Trained, features: VisualFeatures) -> _Batch | None:
    """What the next step trains on; None where the data end."""
    started = time.perf_counter()
    streamed = next(stream, None)
    if streamed is None:
        return None
    # Frozen encoders compute as the rest of the forward pass does.
    with trained.backend.autocast():
        laid_out = [trained.placing.laid_out(part, features.of_batch(part)) for part in streamed.parts]
    return _Batch(streamed, laid_out, time.perf_counter() - started)


def _padding(batch: Sequence[Places]) -> float:
    filled = sum(int((places.samples > 0).sum()) for places in batch)
    return 1 - filled / sum(places.samples.numel() for places in batch)


def _gradients(trained: Trained, parts: Sequence[tuple[Places, list[Tensor]]]) -> _Measured:
    """Leave the gradients of the mean loss over all workers' tokens in the parameters.

    Every token counts the same, however they are spread over parts and workers.
    """
    backend = trained.backend
    moved = [backend.move(part) for part in parts]
    counts = [(places.labels != IGNORE).sum() for places, _ in moved]
    tokens = backend.sum(torch.stack(counts).sum()).clamp(min=1)
    totals = list[Tensor]()
    for number, (places, visual) in enumerate(moved):
        with backend.accumulating(trained.learner, last=number == len(moved) - 1):
            with backend.autocast():
                total: Tensor = trained.learner(places, visual)
            (total * (backend.replicas / tokens)).backward()
        totals.append(total.detach())
    backend.share_gradients(trained.optimiser.parameters)
    loss = backend.sum(torch.stack(totals).sum()) / tokens
    return _Measured(loss, [total / count.clamp(min=1) for total, count in zip(totals, counts, strict=True)])


def _clip(parameters: Sequence[nn.Parameter], most: float) -> Tensor:
    """Clip to the norm over all parameters, and return what it was."""
    from torch.distributed.tensor import DTensor

    norm = nn.utils.clip_grad_norm_(parameters, most)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _numbers(scalars: Sequence[Tensor]) -> list[float]:
    """On the host, all at once."""
    on_device: Any = torch.stack([scalar.float() for scalar in scalars])
    return on_device.tolist()


def _record(
    skipped: SkippedSteps,
    number: int,
    judged: tuple[float, float],
    verdict: Verdict,
    parts: Sequence[Part],
    measured: _Measured,
    backend: Backend,
) -> None:
    """Write down what was in a skipped step. Raises ValueError when it was one too many."""
    rows = [part.table.select(list(ROW_COLUMNS)).to_pylist() for part in parts]
    losses = _numbers(measured.parts)
    skipped.record(number, *judged, verdict, [SkippedPart(*both) for both in zip(losses, rows, strict=True)])
    if verdict.stop:
        # Every worker has recorded before one of them raises.
        backend.sum(torch.zeros_like(measured.loss)).item()
        raise skipped.stopped(number, verdict)
