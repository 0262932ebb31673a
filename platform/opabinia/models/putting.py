"""Put visual tokens into text and take them out again, where `Places` says; nothing here asks the device for anything.

Groups are [groups, positions, width]. Every token goes to one place, so that the gradient of moving them is moving them back: no sum
over places is needed, whose order would differ from run to run on a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from opabinia.models.layout import SEPARATOR
from opabinia.models.places import Places


def put_in(text: Tensor, tokens: Tensor, places: Places, separator: Tensor | None) -> Tensor:
    """`text` with `tokens: [visual tokens of all groups, width]` and `separator: [width]` in their places."""
    stands = places.visual.unsqueeze(-1)
    found = _to_text(text, tokens, places)
    if separator is not None:
        found = torch.where(stands == SEPARATOR, separator.to(text.dtype), found)
        return torch.where((stands >= 0) | (stands == SEPARATOR), found, text)
    return torch.where(stands >= 0, found, text)


def take_out(hidden: Tensor, places: Places) -> Tensor:
    """The visual tokens' [groups, visual tokens, width] of `hidden`; zeros for those that stand nowhere."""
    return _move(hidden, places.visual_at, places.visual)


def put_back(hidden: Tensor, tokens: Tensor, places: Places) -> Tensor:
    """`hidden` with `tokens: [visual tokens of all groups, width]` where `take_out` found them."""
    return torch.where((places.visual >= 0).unsqueeze(-1), _to_text(hidden, tokens, places), hidden)


def mean_questions(text: Tensor, places: Places) -> Tensor:
    """What is asked about each picture: [slots of all groups, width], the mean embedding of that text; zeros for blank ones."""
    chosen = places.asked.unsqueeze(2) == places.asks.unsqueeze(1)
    return (chosen.to(text.dtype) @ text / chosen.sum(-1, keepdim=True).clamp(min=1)).flatten(0, 1)


def _to_text(text: Tensor, tokens: Tensor, places: Places) -> Tensor:
    return _move(tokens.to(text.dtype).view(len(text), -1, text.shape[-1]), places.visual, places.visual_at)


def _move(rows: Tensor, source: Tensor, back: Tensor) -> Tensor:
    moved: Any = _Moved.apply(rows, source, back)
    return moved


class _Moved(torch.autograd.Function):
    """`rows: [groups, n, width]` -> [groups, m, width], row `source: [groups, m]` of them at each place, zeros where that is negative.

    back: [groups, n], the place to which each row went, negative for none.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, source: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(source, back)
        if not rows.shape[1]:
            return rows.new_zeros(*source.shape, rows.shape[2])
        # Group by group, which XLA's partitioner leaves on the device that has the group.
        numbers = source.clamp(min=0).unsqueeze(-1).expand(-1, -1, rows.shape[2])
        return rows.gather(1, numbers).masked_fill((source < 0).unsqueeze(-1), 0)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *outer: Tensor
    ) -> tuple[Tensor, None, None]:
        source, back = ctx.saved_tensors
        return _move(outer[0], back, source), None, None
