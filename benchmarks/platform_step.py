"""The platform's way through a step: its own training loop, on rows grouped by length.

Encoders are frozen: they are run on the pictures of every step, or their features are held as a run holds those of its table.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from step_records import Records, batch_of_longest, pixels_of
from step_sizes import Size, build_encoders, build_model
from stopwatch import Stopwatch
from torch import Tensor, nn

from opabinia.data.arrow import ArrowTable
from opabinia.data.collate import collate_text
from opabinia.data.prompts import IGNORE
from opabinia.data.streaming.grouping import group_by_length
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.rows import rows_of
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.encoders.loading import VisionEncoder
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.answering import EncodedPictures
from opabinia.models.head import check_head
from opabinia.models.learner import LOSS_POSITIONS, Learner
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.backends.backend import Backend
from opabinia.training.loop import Trained, Watch, train_stage
from opabinia.training.memory.estimate import memory_facts
from opabinia.training.optimisation.optimiser import build_optimiser, set_learning
from opabinia.training.placing import Placing
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.safeguards.guard import Guard
from opabinia.training.safeguards.guard_config import GuardConfig
from opabinia.training.safeguards.skipped_steps import SkippedSteps
from opabinia.training.visual_features import FreshFeatures, StoredFeatures, VisualFeatures

_NOWHERE = StreamPosition(window=0, unit=0, epoch=0, shard=0, offset=0, seed=0, data="")


@dataclass(frozen=True, slots=True)
class HeldFeatures:
    """Reads as `FeatureReader` does what it holds in memory: float16 [pictures, tokens, width] per encoder, by keys."""

    places: dict[str, int]
    held: dict[str, Tensor]

    def read(self, keys: Sequence[str]) -> dict[str, Tensor]:
        rows = torch.tensor([self.places[key] for key in keys])
        return {name: grids.index_select(0, rows).float() for name, grids in self.held.items()}


@dataclass(frozen=True, slots=True)
class PlatformWay:
    """The records grouped by length, and all that `train_stage` takes."""

    table: ArrowTable
    first: ArrowTable
    warm: int
    rows: int
    at_once: int
    model: MultimodalModel
    trained: Trained
    stage: StageConfig
    features: VisualFeatures
    encoders: list[VisionEncoder]
    watch: Watch

    @property
    def batches(self) -> int:
        return len(self.table) // self.rows

    def first_gradients(self) -> tuple[float, dict[str, Tensor]]:
        """Of the first records as they were drawn: the loss, and its gradients by the names of the model's parameters."""
        loss = self._backward(self._parts(self.first), Stopwatch("cpu"))
        found = {name: one.grad for name, one in self.model.named_parameters() if one.grad is not None}
        self.trained.optimiser.adamw.zero_grad(set_to_none=True)
        return loss.item(), found

    def steps(self, places: Sequence[int]) -> Iterator[float]:
        """Undisturbed steps on these batches; after each the share of padding in its batch."""
        stage = self.stage.model_copy(update={"steps": len(places)})
        batches = (Streamed(self._parts(self._rows(place)), _NOWHERE) for place in places)
        for step in train_stage(self.trained, stage, batches, self.features, self.watch):
            yield step.padding

    def divided(self, place: int, watch: Stopwatch) -> None:
        """One step on that batch, its parts timed."""
        with watch.around(self.encoders):
            self._backward(self._parts(self._rows(place)), watch)
        optimiser = self.trained.optimiser
        nn.utils.clip_grad_norm_(optimiser.parameters, self.stage.max_grad_norm)
        optimiser.step()
        watch.lap("optimiser")

    def _backward(self, parts: Sequence[Part], watch: Stopwatch) -> Tensor:
        """What `train_stage` does up to the gradients; the mean loss."""
        backend, learner = self.trained.backend, self.trained.learner.train()
        laid_out = [self.trained.placing.laid_out(part, self.features.of_batch(part)) for part in parts]
        moved = [backend.move(part) for part in laid_out]
        tokens = torch.stack([(places.labels != IGNORE).sum() for places, _ in moved]).sum()
        watch.lap("data")
        losses = list[Tensor]()
        for places, visual in moved:
            with backend.autocast():
                loss: Tensor = learner(places, visual) / tokens
            watch.lap("forward")
            loss.backward()
            watch.lap("backward")
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _rows(self, place: int) -> ArrowTable:
        return self.table.slice(place * self.rows, self.rows)

    def _parts(self, table: ArrowTable) -> tuple[Part, ...]:
        tables = [table.slice(start, self.at_once) for start in range(0, self.rows, self.at_once)]
        return tuple(Part(collate_text(rows_of(part), 0), part) for part in tables)


def platform_way(size: Size, records: Records, backend: Backend, *, stored: bool, twice: bool) -> PlatformWay:
    """stored: features are read, and no encoder is run. twice: every layer's activations are computed twice."""
    device = str(backend.device)
    model = build_model(size, device)
    encoders = build_encoders(size, device, torch.bfloat16 if backend.precision == "bfloat16" else torch.float32)
    checkpoint_activations(model, ActivationCheckpointing(decoder_layers=int(twice)))
    order = group_by_length(records.lengths, records.pictured, size.rows, seed=0)
    stage = _stage(size)
    fresh = FreshFeatures(EncodedPictures(encoders), "full", device=device)
    features = _stored(size, records, encoders) if stored else fresh
    return PlatformWay(
        table=records.table.take(order),
        first=records.table.slice(0, size.rows),
        warm=batch_of_longest(records.lengths[order], size.rows),
        rows=size.rows,
        at_once=size.at_once,
        model=model,
        trained=_trained(model, stage, backend),
        stage=stage,
        features=features,
        encoders=[] if stored else encoders,
        watch=_watch(model, stage, size, backend),
    )


def _stage(size: Size) -> StageConfig:
    return StageConfig(
        name="instruction", data="drawn", trains=("connector", "language_model"), batch=size.rows,
        per_device_batch=size.at_once, base_batch=size.rows,
        lr=2e-5, schedule="constant", warmup=0.0, steps=size.steps,
    )  # fmt: skip


def _trained(model: MultimodalModel, stage: StageConfig, backend: Backend) -> Trained:
    check_head(model.language_model)
    learner = Learner(model)
    learner.requires_grad_(False)
    set_learning(model, stage)
    wrapped = backend.wrap(learner, learner.blocks)
    return Trained(wrapped, build_optimiser(model, stage), backend, Placing(model.layout))


def _watch(model: MultimodalModel, stage: StageConfig, size: Size, backend: Backend) -> Watch:
    facts = memory_facts(
        model, stage, device=backend.device.type, workers=1, rows=size.at_once, tokens=size.longest,
        precision=backend.precision, logit_positions=LOSS_POSITIONS,
    )  # fmt: skip
    return Watch(Guard(GuardConfig()), SkippedSteps(tempfile.gettempdir(), 0, stage.name, 0), facts)


def _stored(size: Size, records: Records, encoders: Sequence[VisionEncoder]) -> StoredFeatures:
    keys = [key for row in records.table["image_keys"].to_pylist() for key in row]
    parts = [records.table.slice(start, size.rows) for start in range(0, len(records.table), size.rows)]
    found = [_encoded(part, size, encoders) for part in parts if any(part["image_keys"].to_pylist())]
    held = {entry.id: torch.cat(grids) for entry, grids in zip(size.encoders, zip(*found, strict=True), strict=True)}
    reader: Any = HeldFeatures({key: place for place, key in enumerate(keys)}, held)
    return StoredFeatures(reader, tuple(held))


def _encoded(table: ArrowTable, size: Size, encoders: Sequence[VisionEncoder]) -> list[Tensor]:
    pixels = pixels_of(table, size, str(encoders[0].device))
    return [encoder(shown).to(torch.float16).cpu() for encoder, shown in zip(encoders, pixels, strict=True)]
