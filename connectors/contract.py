"""What every connector takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class GridShape:
    """An encoder's feature grid: `side` x `side` tokens of `width` channels."""

    side: int
    width: int


@dataclass(frozen=True, slots=True)
class VisualContext:
    """What layers inside the language model read again: per encoder `windows: [images, cells, keys, width]`, and one summary
    `[images, 1, width]` of the first encoder's grid."""

    windows: tuple[Tensor, ...]
    summary: Tensor


@dataclass(frozen=True, slots=True)
class Visual:
    """A connector's answer: `tokens: [images, queries, llm_width]`, and the context for layers inside the LLM, if it has any."""

    tokens: Tensor
    context: VisualContext | None = None


class Connector(nn.Module):
    """Turns one feature grid per encoder into `queries` visual tokens for the language model.

    A subclass gives `forward`; one that also acts inside the language model names its layers in `inner_layers` and gives `reread`.
    """

    queries: int
    inner_layers: tuple[int, ...] = ()
    """Indices of the language model's layers after which `reread` is called."""

    def forward(self, grids: Sequence[Tensor]) -> Visual:
        """`grids[i]: [images, side_i * side_i, width_i]`, row by row."""
        raise NotImplementedError

    def reread(self, layer: int, hidden: Tensor, context: VisualContext) -> Tensor:
        """Update the visual tokens' hidden states `[images, queries, llm_width]` after the language model's layer `layer`."""
        raise NotImplementedError
