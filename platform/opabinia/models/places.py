"""Where everything of a batch stands, worked out on the host: the device only has to put it there, and all shapes are known before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor

from connectors.padding import ImageSize
from opabinia.data.collate import TextBatch
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.layout import SEPARATOR, Layout
from opabinia.models.samples import answered, check_samples, positions_in_samples

NOTHING = -1


@dataclass(frozen=True, slots=True)
class StaticShape:
    """What all batches of a run are made to have, where every new shape costs a compilation.

    length: positions of a row, visual tokens included. pictures: slots of a row, of which those without a picture are blank.
    packed: whether rows may hold several samples.
    """

    length: int
    pictures: int
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """A batch of text with its pictures put in.

    Visual tokens are numbered within a group of rows, slot by slot of its pictures. Where shapes are static a group is one row, for
    devices may share the rows of a batch; elsewhere it is the whole batch, and every slot has a picture.

    token_ids: [rows, length], 0 where no text is.
    labels: [rows, length], IGNORE at pictures, at padding and where a sample begins, so that each is the target of the position before.
    position_ids: [rows, length], the place of each token in its sample, from 0.
    samples: [rows, length], the number of each token's sample in its row, from 1, and 0 at padding.
    packed: whether a row may hold several samples, which then must be kept apart. static: whether shapes are those of a StaticShape.
    visual: [groups, positions], which visual token of the group stands at a position of it; SEPARATOR or NOTHING elsewhere.
    visual_at: [groups, visual tokens], the position in the group of each visual token; NOTHING for those that stand nowhere.
    cells: [visual tokens], which of the connector's tokens [groups * slots * queries] these are; None for all.
    asks: [groups, positions], the number of the question in the group to which a token of the text belongs, from 1; 0 elsewhere.
    asked: [groups, slots], the number of the question that asks about a picture; NOTHING for blank slots.
    sizes: per slot width and height of pictures that were padded to squares, or None.
    pictures: how many each group has.
    supervised: how many labels there are.
    """

    token_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    samples: Tensor
    packed: bool
    static: bool
    visual: Tensor
    visual_at: Tensor
    cells: Tensor | None
    asks: Tensor
    asked: Tensor
    sizes: tuple[ImageSize, ...] | None
    pictures: tuple[int, ...]
    supervised: int

    @property
    def slots(self) -> int:
        """Pictures, blank ones included, that the connector gets of all groups."""
        return self.asked.numel()

    @property
    def at_most(self) -> int | None:
        """A bound of the labels for `chunked_next_token_loss`; None where shapes are static, for it varies."""
        return None if self.static else self.supervised

    def to(self, device: torch.device) -> Places:
        """The same, with every tensor on the device."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: part.to(device) for name, part in held.items() if isinstance(part, Tensor)})


class Pictures(NamedTuple):
    """Per picture, in the order of the text: its row, the number of its sample there, and the order of its visual tokens."""

    rows: Tensor
    samples: Tensor
    orders: list[Tensor]


def place(
    batch: TextBatch,
    layout: Layout,
    shape: StaticShape | None = None,
    sizes: Sequence[ImageSize] | None = None,
    *,
    pad_left: bool = False,
) -> Places:
    """Put a picture's visual tokens in the place of each IMAGE_TOKEN; `batch` is on the host.

    sizes: width and height of pictures that were padded to squares; their padding is left out where `layout` says so.
    `pad_left` puts the padding in front, as generation needs. Raises ValueError where placeholders and sizes differ in number, where
    samples are not numbered in their order, and for a batch that does not fit into `shape`.
    """
    mask = batch.attention_mask.bool()
    samples = mask.long() if batch.samples is None else batch.samples
    check_samples(samples, mask)
    is_image = (batch.input_ids == IMAGE_TOKEN) & mask
    rows, columns = is_image.nonzero().unbind(1)
    orders = layout.orders(len(rows), sizes)
    spans = mask.long()
    spans[is_image] = torch.tensor([len(order) for order in orders], dtype=torch.long)
    lengths = spans.sum(1)
    length = int(lengths.max()) if shape is None else shape.length
    if int(lengths.max()) > length:
        raise ValueError(
            f"length: a row has {int(lengths.max())} positions where {length} are; raise it or cut the text"
        )
    here = torch.arange(length)
    present = here >= length - lengths[:, None] if pad_left else here < lengths[:, None]

    def spread(numbers: Tensor, elsewhere: int) -> Tensor:
        return numbers.new_full(present.shape, elsewhere).masked_scatter(
            present, numbers[mask].repeat_interleave(spans[mask])
        )

    pictures = Pictures(rows, samples[rows, columns], orders)
    return place_expanded(
        spread(batch.input_ids, 0), spread(is_image.long(), 0).bool(), spread(batch.labels, IGNORE), spread(samples, 0),
        pictures, layout, shape, sizes,
    )  # fmt: skip


def place_expanded(
    ids: Tensor,
    is_visual: Tensor,
    labels: Tensor,
    samples: Tensor,
    pictures: Pictures,
    layout: Layout,
    shape: StaticShape | None = None,
    sizes: Sequence[ImageSize] | None = None,
) -> Places:
    """The same for texts [rows, positions] in which every visual token has its position already, those of all pictures in order."""
    packed = bool((samples > 1).any())
    if shape is not None and packed and not shape.packed:
        raise ValueError("packed: rows hold several samples where none may; set it, or turn packing off")
    slots = _slots(pictures.rows, len(ids), shape)
    visual, visual_at, cells = _number(is_visual, pictures.orders, slots, layout)
    asks, asked = _questions(samples, is_visual, labels, pictures, slots)
    positions = positions_in_samples(samples)
    # Nothing in front of a sample may predict what it begins with.
    labels = labels.masked_fill(is_visual | (samples == 0) | (positions == 0), IGNORE)
    return Places(
        token_ids=ids.masked_fill(is_visual, 0),
        labels=labels,
        position_ids=positions,
        samples=samples,
        packed=packed if shape is None else shape.packed,
        static=shape is not None,
        visual=visual,
        visual_at=visual_at,
        cells=cells,
        asks=asks,
        asked=asked,
        sizes=None if sizes is None else _in_slots(sizes, slots),
        pictures=slots.counts,
        supervised=int((labels != IGNORE).sum()),
    )


def pad_pictures(features: Sequence[Tensor], places: Places, blanks: Sequence[Tensor]) -> list[Tensor]:
    """Per encoder [pictures, ...] -> [slots, ...], on the host; `features` may be empty for text alone.

    blanks: per encoder what stands in a slot without a picture, [...].
    """
    groups, slots = places.asked.shape
    filled = [group * slots + slot for group, count in enumerate(places.pictures) for slot in range(count)]
    padded = [blank.expand(groups * slots, *blank.shape).clone() for blank in blanks]
    for all_slots, own in zip(padded, features, strict=False):
        all_slots[filled] = own
    return padded


class _Slots(NamedTuple):
    """Of each picture its group and its slot there; how many slots every group has, and how many pictures each."""

    groups: Tensor
    numbers: Tensor
    each: int
    counts: tuple[int, ...]
    static: bool


def _slots(rows: Tensor, count: int, shape: StaticShape | None) -> _Slots:
    every = torch.arange(len(rows))
    if shape is None:
        return _Slots(torch.zeros_like(rows), every, len(rows), (len(rows),), static=False)
    counts = torch.bincount(rows, minlength=count)
    most = int(counts.max())
    if most > shape.pictures:
        raise ValueError(f"pictures: a row has {most} where {shape.pictures} are; raise it or leave the row out")
    return _Slots(rows, every - (counts.cumsum(0) - counts)[rows], shape.pictures, _ints(counts), static=True)


def _number(
    is_visual: Tensor, orders: Sequence[Tensor], slots: _Slots, layout: Layout
) -> tuple[Tensor, Tensor, Tensor | None]:
    """`visual`, `visual_at` and `cells` of `Places`."""
    visual = torch.full_like(is_visual, NOTHING, dtype=torch.long).view(len(slots.counts), -1)
    visual_at = torch.full((len(visual), slots.each * layout.queries), NOTHING)
    if not orders:
        return visual, visual_at, None
    order = torch.cat(list(orders))
    picture = torch.arange(len(orders)).repeat_interleave(torch.tensor([len(each) for each in orders]))
    groups, at = is_visual.view_as(visual).nonzero().unbind(1)
    is_cell = order != SEPARATOR
    numbers = torch.where(is_cell, slots.numbers[picture] * layout.queries + order, SEPARATOR)
    cells = None
    if not slots.static and int(is_cell.sum()) < visual_at.numel():
        # Padding that no text shows is not computed with.
        cells = numbers[is_cell]
        numbers[is_cell] = torch.arange(len(cells))
        visual_at = visual_at[:, : len(cells)]
    visual[groups, at] = numbers
    visual_at[groups[is_cell], numbers[is_cell]] = at[is_cell]
    return visual, visual_at, cells


def _questions(
    samples: Tensor, is_visual: Tensor, labels: Tensor, pictures: Pictures, slots: _Slots
) -> tuple[Tensor, Tensor]:
    """`asks` and `asked` of `Places`: what a sample asks is its text before its first label.

    No token of an answer may be in it, or the model would be told in training what it must say.
    """
    most = samples.max(1).values
    before = torch.zeros_like(most) if slots.static else most.cumsum(0) - most
    asking = (samples > 0) & ~is_visual & ~answered(labels != IGNORE, samples)
    asks = (samples + before[:, None]).masked_fill(~asking, 0).view(len(slots.counts), -1)
    asked = torch.full((len(asks), slots.each), NOTHING)
    asked[slots.groups, slots.numbers] = pictures.samples + before[pictures.rows]
    return asks, asked


def _in_slots(sizes: Sequence[ImageSize], slots: _Slots) -> tuple[ImageSize, ...]:
    filled: list[ImageSize] = [(1, 1)] * (len(slots.counts) * slots.each)
    for slot, size in zip(_ints(slots.groups * slots.each + slots.numbers), sizes, strict=True):
        filled[slot] = size
    return tuple(filled)


def _ints(numbers: Tensor) -> tuple[int, ...]:
    return tuple(cast("list[int]", numbers.tolist()))
