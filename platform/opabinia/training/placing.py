"""How the rows of a batch are laid out for the device, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from opabinia.data.streaming.plan import StreamPlan
from opabinia.data.streaming.stream import Part
from opabinia.models.layout import Layout
from opabinia.models.learner import Learner, blank_pixels
from opabinia.models.places import Places, StaticShape, pad_pictures, place

# As many positions as a TPU's registers are wide.
_LENGTH_MULTIPLE = 128


@dataclass(frozen=True, slots=True)
class Placing:
    """layout: of the model's visual tokens. shape: the one of all batches, or None where each may have its own.

    blanks: per encoder what a static shape has in the place of a missing picture: features [tokens, width] or pixels [3, side, side].
    """

    layout: Layout
    shape: StaticShape | None = None
    blanks: tuple[Tensor, ...] = ()

    def laid_out(self, part: Part, visual: list[Tensor]) -> tuple[Places, list[Tensor]]:
        """What a `Learner` takes, of what `VisualFeatures.of_batch` gives."""
        places = place(part.batch, self.layout, self.shape)
        return places, visual if self.shape is None else pad_pictures(visual, places, self.blanks)


def static_shape(plan: StreamPlan) -> StaticShape:
    """The smallest into which every row of the plan fits."""
    positions, pictures = plan.largest_row()
    length = -(-positions // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
    return StaticShape(length, pictures, packed=plan.packs)


def blanks(learner: Learner) -> tuple[Tensor, ...]:
    """What shows the learner a picture that is not there."""
    model, encoders = learner.active, learner.encoders_by_id
    return tuple(
        blank_pixels(encoders[name]) if name in encoders else torch.zeros(grid.side * grid.side, grid.width)
        for name, grid in zip(model.config.encoders, model.grids, strict=True)
    )
