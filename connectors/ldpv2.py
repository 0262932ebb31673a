"""`ldpv2`: the lightweight downsample projector of MobileVLM V2 (Chu et al. 2024, §3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.ldpv2 import Ldpv2Settings
from connectors.variance import keep_variance
from connectors.weight_share import weight_shares


class Ldpv2Connector(Connector):
    """Two pointwise layers, average pooling to the query grid, and a depthwise 3 x 3 convolution added to what it reads.

    Published for one encoder; several are resized to the side of the finest grid and concatenated on channels, so that it is the
    pooling that makes tokens fewer. `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`, for the language
    model's width H. Parameters: (Σ d_i + 1) H + (H + 1) H + 10 H.
    """

    share_kind = "weights"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: Ldpv2Settings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self._finest = max(grid.side for grid in grids)
        self.layers = nn.Sequential(
            nn.Linear(sum(grid.width for grid in grids), llm_width), nn.GELU(), nn.Linear(llm_width, llm_width)
        )
        self.place = nn.Conv2d(llm_width, llm_width, kernel_size=3, padding=1, groups=llm_width)
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        tokens: Tensor = self.layers(torch.cat(self._parts(grids), dim=-1))
        maps = tokens.transpose(1, 2).reshape(len(tokens), -1, self._finest, self._finest)
        pooled = functional.adaptive_avg_pool2d(maps, self._side)
        return Visual((pooled + self.place(pooled)).flatten(2).transpose(1, 2))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """`weight_shares` in the first linear layer."""
        return weight_shares(self.layers.get_parameter("0.weight"), self._parts(grids))

    def _parts(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [resize_grid(grid, self._finest) for grid in grids]
