"""`deformable_cross_attention`: tokens choose where to sample the grids (Zhu et al. 2021, §4.1, in the place of windows)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.deformable_cross_attention import DeformableCrossAttentionSettings
from connectors.variance import keep_variance


class DeformableCrossAttentionConnector(Connector):
    """Each token of the first of the smallest grids samples every grid at places of its choice; T = MLP(Q + attention).

    Multi-scale deformable attention (Zhu et al. 2021, eq. 3): offsets, in cells of the grid they fall on, and weights, one softmax
    over all encoders' points, are linear in the token. It stands where Mini-Gemini has windows (Shi et al. 2024, §3.2).
    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`. With E encoders, width h, M heads, K points and
    LLM width H, parameters: Σ (d_i + 3) h + 2 (h + 1) h + 3 (h + 1) M E K + (h + 1) H + (H + 1) H.
    """

    share_kind = "attention"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: DeformableCrossAttentionSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self._low = min(range(len(grids)), key=lambda index: grids[index].side)
        self._points = (settings.heads, len(grids), settings.points)
        width, count = settings.width, math.prod(self._points)
        self.project = nn.ModuleList(nn.Sequential(nn.Linear(grid.width, width), nn.LayerNorm(width)) for grid in grids)
        self.to_value = nn.Linear(width, width)
        self.to_offset = nn.Linear(width, 2 * count)
        self.to_weight = nn.Linear(width, count)
        self.attended = nn.Linear(width, width)
        self.output = nn.Sequential(nn.Linear(width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
        self.apply(keep_variance)
        self._start_as_stars()

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        projected = self._project(grids)
        query = resize_grid(projected[self._low], self._side)
        offsets = self.to_offset(query).view(*query.shape[:2], *self._points, 2).unbind(3)
        weights = self._weights(query).unbind(3)
        found = [
            sample(self.to_value(grid), offset, weight)
            for grid, offset, weight in zip(projected, offsets, weights, strict=True)
        ]
        return Visual(self.output(query + self.attended(torch.stack(found).sum(0))))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """Attention on each encoder's points, meant over tokens and heads."""
        query = resize_grid(self._project(grids)[self._low], self._side)
        return self._weights(query).float().sum(-1).mean((1, 2))

    def _project(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [project(grid) for project, grid in zip(self.project, grids, strict=True)]

    def _weights(self, query: Tensor) -> Tensor:
        """[images, queries, heads, encoders, points], summing to 1 over encoders and points."""
        scores: Tensor = self.to_weight(query)
        weights = scores.view(*query.shape[:2], self._points[0], -1).float().softmax(-1)
        return weights.to(query.dtype).view(*query.shape[:2], *self._points)

    @torch.no_grad()
    def _start_as_stars(self) -> None:
        """Each head looks in a direction of its own, a cell further with each point, at all encoders alike (as published)."""
        heads, encoders, points = self._points
        nn.init.zeros_(self.to_weight.weight)
        nn.init.zeros_(self.to_weight.bias)
        nn.init.zeros_(self.to_offset.weight)
        angles = 2 * math.pi * torch.arange(heads) / heads
        rays = torch.stack([angles.cos(), angles.sin()], dim=-1)
        rays = rays / rays.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, points + 1)[:, None] * rays[:, None, None]
        self.to_offset.bias.copy_(steps.expand(heads, encoders, points, 2).flatten())


def sample(values: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of bilinear samples around each cell of a coarser grid; nothing is outside the picture. In float32.

    `values: [images, side * side, width]`, `offsets: [images, cells, heads, points, 2]` (x, y) from the cells' centres, in cells of
    the `side * side` grid, `weights: [images, cells, heads, points]` -> `[images, cells, width]`.
    """
    side, cells = square_side(values.shape[1]), square_side(offsets.shape[1])
    heads = offsets.shape[2]
    maps = values.transpose(1, 2).reshape(len(values) * heads, -1, side, side)
    places = _centres(cells).to(offsets.device)[:, None, None] + offsets.float() / side
    around = (2 * places - 1).transpose(1, 2).flatten(0, 1)
    found = functional.grid_sample(maps.float(), around, mode="bilinear", padding_mode="zeros", align_corners=False)
    added = (found * weights.transpose(1, 2).flatten(0, 1).unsqueeze(1)).sum(-1)
    return added.reshape(len(values), -1, cells * cells).transpose(1, 2).to(values.dtype)


def _centres(side: int) -> Tensor:
    """Centres of `side * side` cells in a picture that is 1 wide and 1 high: [cells, 2], (x, y)."""
    line = (torch.arange(side) + 0.5) / side
    return torch.stack([line.repeat(side), line.repeat_interleave(side)], dim=-1)
