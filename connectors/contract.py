"""What every connector takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from connectors.padding import ImageSize


@dataclass(frozen=True, slots=True)
class GridShape:
    """An encoder's feature grid: `side` x `side` tokens of `width` channels."""

    side: int
    width: int


@dataclass(frozen=True, slots=True)
class VisualContext:
    """What layers inside the language model read again, one row a visual token; cells of several images follow each other.

    windows: per encoder [cells, keys, width]. seen: which keys are picture and not padding, bool [cells, keys of all encoders], or
    None where all are. summary: [images, width], the mean of the first encoder's grid. image_of: [cells], row of `summary`.
    """

    windows: tuple[Tensor, ...]
    seen: Tensor | None
    summary: Tensor
    image_of: Tensor

    def at(self, cells: Tensor) -> VisualContext:
        """The context of some cells only, given by their indices in ascending order."""
        if len(cells) == len(self.image_of):
            return self
        seen = None if self.seen is None else self.seen[cells]
        return VisualContext(tuple(window[cells] for window in self.windows), seen, self.summary, self.image_of[cells])

    def split(self, cells: int) -> list[VisualContext]:
        """Consecutive parts of so many cells each; the last may have fewer."""
        image_of = torch.split(self.image_of, cells)
        seen = [None] * len(image_of) if self.seen is None else torch.split(self.seen, cells)
        windows = zip(*(torch.split(window, cells) for window in self.windows), strict=True)
        return [
            VisualContext(parts, some, self.summary, images)
            for parts, some, images in zip(windows, seen, image_of, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Visual:
    """A connector's answer: `tokens: [images, queries, llm_width]`, and the context for layers inside the LLM, if it has any."""

    tokens: Tensor
    context: VisualContext | None = None


class Connector(nn.Module):
    """Turns one feature grid per encoder into `queries` visual tokens for the language model.

    A subclass gives `forward`; one that also acts inside the language model names its layers in `inner_layers` and gives `reread`;
    one that weighs encoders against each other gives `shares`.
    """

    queries: int
    """Visual tokens for one image."""

    inner_layers: tuple[int, ...] = ()
    """Indices of the language model's layers after which `reread` is called."""

    share_kind: str = ""
    """What `shares` measures, in words; empty where it gives None."""

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        """`grids[i]: [images, side_i * side_i, width_i]`, row by row.

        text: [images, llm_width], mean embedding of the text around each image; None where nothing is known of it.
        sizes: of pictures that were padded to a square before they were encoded; None where they were not.
        """
        raise NotImplementedError

    def reread(self, layer: int, hidden: Tensor, context: VisualContext) -> Tensor:
        """Update the visual tokens' hidden states `[cells, llm_width]` after the language model's layer `layer`."""
        raise NotImplementedError

    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor | None:
        """How much each encoder counts, `[images, encoders]`, rows summing to 1; None where the notion does not exist."""
        return None
