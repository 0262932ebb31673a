"""One MLP an encoder: what the connectors share that keep encoders apart until their tokens have the language model's width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import GridShape
from connectors.grids import resize_grid, square_side


class EncoderMlps(nn.Module):
    """A two-layer MLP for each encoder, over its grid resized to `queries` tokens.

    `grids[i]: [images, side_i * side_i, d_i]` -> `[images, encoders, queries, H]`. Parameters: Σ ((d_i + 1) H + (H + 1) H).
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, queries: int) -> None:
        super().__init__()
        self._side = square_side(queries, "queries")
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(grid.width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
            for grid in grids
        )

    def forward(self, grids: Sequence[Tensor]) -> Tensor:
        projected = [mlp(resize_grid(grid, self._side)) for mlp, grid in zip(self.mlps, grids, strict=True)]
        return torch.stack(projected, dim=1)
