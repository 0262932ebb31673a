"""`channel_concat`: Eagle's fusion, grids interpolated to one side and concatenated on channels (Shi et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import square_side
from connectors.interpolation import align_grid
from connectors.padding import ImageSize
from connectors.settings.channel_concat import ChannelConcatSettings
from connectors.weight_share import weight_shares


class ChannelConcatConnector(Connector):
    """Interpolate every grid with aligned corners, concatenate on channels, project (Shi et al. 2024, released code).

    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`, for the language model's width H.
    Parameters: (Σ d_i + 1) H + (H + 1) H.
    """

    share_kind = "weights"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: ChannelConcatSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self.layers = nn.Sequential(
            nn.Linear(sum(grid.width for grid in grids), llm_width), nn.GELU(), nn.Linear(llm_width, llm_width)
        )

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.layers(torch.cat(self._parts(grids), dim=-1)))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """`weight_shares` in the first linear layer."""
        return weight_shares(self.layers.get_parameter("0.weight"), self._parts(grids))

    def _parts(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [align_grid(grid, self._side) for grid in grids]
