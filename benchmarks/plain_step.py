"""The plain way through a step: what one writes without a platform, in the style of the reference trainers (LLaVA, Cambrian-1).

Batches as they come, padded to their longest row; visual tokens put into the text row by row; the padding told by a mask; the logits
of all positions and transformers' own loss; no compilation; the loss on the host after every step. The connector's code and the
attention kernels that torch chooses are the same as the platform's, and batches lie collated, normalised and pinned in memory, as
worker processes of a DataLoader would have left them, so that only what trains is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from step_records import Records, batch_of_longest, pixels_of
from step_sizes import Size, build_encoders, build_model
from stopwatch import Stopwatch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from connectors.contract import Connector, VisualContext
from opabinia.data.arrow import ArrowTable
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.multimodal import MultimodalModel

_LEARNING_RATE, _MAX_GRAD_NORM = 2e-5, 1.0


@dataclass(frozen=True, slots=True)
class PlainBatch:
    """ids, labels: [rows, text], padded; lengths: of each row. pixels: per encoder [pictures, 3, side, side], or empty.

    tokens: of all rows, the pictures' included. supervised: how many of them are to be predicted.
    """

    ids: Tensor
    labels: Tensor
    lengths: list[int]
    pixels: list[Tensor]
    tokens: int
    supervised: int


class PlainModel(nn.Module):
    """Connector and language model with a splice of their own; what SVA does inside the language model hangs on hooks of their own."""

    def __init__(self, model: MultimodalModel) -> None:
        super().__init__()
        self.connector: Connector = model.connector
        self.language_model = model.language_model
        self._context: VisualContext | None = None
        self._starts: list[tuple[int, int]] = []
        llm: Any = model.language_model
        for index in self.connector.inner_layers:
            llm.model.layers[index].register_forward_hook(partial(self._reread, index))

    def forward(self, batch: PlainBatch, features: Sequence[Tensor], supervised: int) -> tuple[Tensor, int]:
        """The sum of the losses over `supervised`, and how many positions there are, padding included."""
        llm: Any = self.language_model
        text: Tensor = llm.get_input_embeddings()(batch.ids.clamp(min=0).to(llm.device, non_blocking=True))
        visual = self.connector(features) if features else None
        self._context = None if visual is None else visual.context
        rows, labels = self._spliced(batch, text, None if visual is None else visual.tokens)
        mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
        output = llm(
            inputs_embeds=pad_sequence(rows, batch_first=True),
            attention_mask=mask.to(llm.device),
            labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE).to(llm.device),
            num_items_in_batch=supervised,
            use_cache=False,
        )
        return output.loss, mask.numel()

    def _spliced(self, batch: PlainBatch, text: Tensor, tokens: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        """Rows [positions, width] and their labels [positions], without padding."""
        rows, labels, self._starts = list[Tensor](), list[Tensor](), list[tuple[int, int]]()
        for row, length in enumerate(batch.lengths):
            ids: list[int] = cast("list[int]", batch.ids[row, :length].tolist())
            own, known = text[row, :length], batch.labels[row, :length]
            if tokens is not None and IMAGE_TOKEN in ids:
                at, picture = ids.index(IMAGE_TOKEN), tokens[len(self._starts)]
                own = torch.cat([own[:at], picture.to(own.dtype), own[at + 1 :]])
                known = torch.cat([known[:at], torch.full((len(picture),), IGNORE), known[at + 1 :]])
                self._starts.append((row, at))
            rows.append(own)
            labels.append(known)
        return rows, labels

    def _reread(self, index: int, _layer: nn.Module, _args: Any, hidden: Tensor) -> Tensor:
        if self._context is None:
            return hidden
        queries = self.connector.queries
        seen = torch.cat([hidden[row, at : at + queries] for row, at in self._starts])
        read = torch.split(self.connector.reread(index, seen, self._context).to(hidden.dtype), queries)
        changed = hidden.clone()
        for (row, at), tokens in zip(self._starts, read, strict=True):
            changed[row, at : at + queries] = tokens
        return changed


@dataclass(frozen=True, slots=True)
class PlainWay:
    """A model, its optimiser, and batches in the order of the records, each in the parts that are computed on at once."""

    model: PlainModel
    encoders: list[Any]
    adamw: torch.optim.AdamW
    all_batches: list[list[PlainBatch]]
    warm: int
    device: str
    computes_in: torch.dtype

    @property
    def batches(self) -> int:
        return len(self.all_batches)

    def first_gradients(self) -> tuple[float, dict[str, Tensor]]:
        """Of the first records as they were drawn: the loss, and its gradients by the names of the model's parameters."""
        loss, _ = self._backward(self.all_batches[0], Stopwatch("cpu"))
        found = {name: one.grad for name, one in self.model.named_parameters() if one.grad is not None}
        self.adamw.zero_grad()
        return loss.item(), found

    def steps(self, places: Sequence[int]) -> Iterator[float]:
        """Undisturbed steps on these batches; after each the share of padding in its batch."""
        # Without a wait: a stopwatch of the host alone.
        watch = Stopwatch("cpu")
        for place in places:
            loss, padding = self._backward(self.all_batches[place], watch)
            self._learn()
            loss.item()
            yield padding

    def divided(self, place: int, watch: Stopwatch) -> None:
        """One step on that batch, its parts timed."""
        with watch.around(self.encoders):
            self._backward(self.all_batches[place], watch)
        self._learn()
        watch.lap("optimiser")

    def _backward(self, parts: Sequence[PlainBatch], watch: Stopwatch) -> tuple[Tensor, float]:
        """The mean loss of the supervised tokens, and the share of positions that are padding."""
        supervised = sum(part.supervised for part in parts)
        losses, positions = list[Tensor](), 0
        for part in parts:
            pixels = [shown.to(self.device, non_blocking=True) for shown in part.pixels]
            features = [encoder(shown) for encoder, shown in zip(self.encoders, pixels, strict=False)]
            watch.lap("data")
            with self._autocast():
                loss, held = self.model(part, features, supervised)
            watch.lap("forward")
            loss.backward()
            watch.lap("backward")
            losses.append(loss.detach())
            positions += held
        return torch.stack(losses).sum(), 1 - sum(part.tokens for part in parts) / positions

    def _learn(self) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRAD_NORM)
        self.adamw.step()
        self.adamw.zero_grad()

    def _autocast(self) -> AbstractContextManager[object]:
        if self.computes_in == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=self.computes_in)


def plain_way(size: Size, records: Records, device: str, computes_in: torch.dtype, *, twice: bool) -> PlainWay:
    """twice: every layer's activations are computed twice, as transformers' gradient checkpointing does it."""
    model = PlainModel(build_model(size, device)).train()
    if twice:
        llm: Any = model.language_model
        llm.gradient_checkpointing_enable({"use_reentrant": False})
    tables = [records.table.slice(start, size.rows) for start in range(0, len(records.table), size.rows)]
    return PlainWay(
        model=model,
        encoders=build_encoders(size, device, computes_in),
        adamw=torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, weight_decay=0.0),
        all_batches=[_in_parts(table, size, pinned=device.startswith("cuda")) for table in tables],
        warm=batch_of_longest(records.lengths, size.rows),
        device=device,
        computes_in=computes_in,
    )


def plain_batch(table: ArrowTable, size: Size, *, pinned: bool = False) -> PlainBatch:
    ids, labels = ([torch.tensor(row) for row in table[name].to_pylist()] for name in ("input_ids", "labels"))
    pictures = sum(map(len, table["image_keys"].to_pylist()))
    pixels = pixels_of(table, size) if pictures else []
    lengths = [len(row) for row in ids]
    return PlainBatch(
        ids=pad_sequence(ids, batch_first=True),
        labels=pad_sequence(labels, batch_first=True, padding_value=IGNORE),
        lengths=lengths,
        pixels=[shown.pin_memory() for shown in pixels] if pinned else pixels,
        tokens=sum(lengths) + pictures * (size.connector.queries - 1),
        supervised=sum(int((row != IGNORE).sum()) for row in labels),
    )


def _in_parts(table: ArrowTable, size: Size, *, pinned: bool) -> list[PlainBatch]:
    parts = [table.slice(start, size.at_once) for start in range(0, size.rows, size.at_once)]
    return [plain_batch(part, size, pinned=pinned) for part in parts]
