"""`mixture_of_resolution`: larger grids enrich the smallest through gates (after LLaVA-HR, Luo et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.mixture_of_resolution import MixtureOfResolutionSettings
from connectors.variance import keep_variance

Grid = TypeVar("Grid", GridShape, Tensor)


class GatedResolution(nn.Module):
    """What a larger grid adds to the low path: `gate * conv(high)`, a gate in (-1, 1) per image and channel.

    `low: [images, tokens, d]`, `high: [images, more tokens, e]` -> `[images, tokens, d]`. With m = max(1, d // 2), parameters:
    (9 e + 1) d + (2 d + 1) m + (m + 1) d.
    """

    def __init__(self, low_width: int, high_width: int) -> None:
        super().__init__()
        hidden = max(1, low_width // 2)
        self.conv = nn.Conv2d(high_width, low_width, kernel_size=3, padding=1)
        self.gate = nn.Sequential(nn.Linear(2 * low_width, hidden), nn.GELU(), nn.Linear(hidden, low_width), nn.Tanh())

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        side = square_side(high.shape[1])
        maps = self.conv(high.transpose(1, 2).unflatten(2, (side, side)))
        pooled = resize_grid(maps.flatten(2).transpose(1, 2), square_side(low.shape[1]))
        gate = self.gate(torch.cat([low.mean(1), pooled.mean(1)], dim=-1))
        return gate.unsqueeze(1) * pooled


class MixtureOfResolutionConnector(Connector):
    """The first of the smallest grids is the low path; every other grid adds to it through a gate; then two layers.

    low' = MLP(low) + Σ gate_k * conv_k(high_k), after the mixture-of-resolution adapter (Luo et al. 2024), which acts between an
    encoder's blocks and not behind it. `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`. With d the
    low path's width, m = max(1, d // 2) and LLM width H, parameters: 2 (d + 1) d + Σ_{k other} ((9 d_k + 1) d + (2 d + 1) m +
    (m + 1) d) + (d + 1) H + (H + 1) H.
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: MixtureOfResolutionSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self._low = min(range(len(grids)), key=lambda index: grids[index].side)
        width = grids[self._low].width
        self.low = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.high = nn.ModuleList(GatedResolution(width, grid.width) for grid in self._others(grids))
        self.output = nn.Sequential(nn.Linear(width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        low: Tensor = self.low(grids[self._low])
        added = [gated(low, grid) for gated, grid in zip(self.high, self._others(grids), strict=True)]
        return Visual(self.output(resize_grid(sum(added, start=low), self._side)))

    def _others(self, grids: Sequence[Grid]) -> list[Grid]:
        return [grid for index, grid in enumerate(grids) if index != self._low]
