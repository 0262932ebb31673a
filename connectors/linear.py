"""`linear`: channel concatenation of all grids, then one linear layer (Liu et al. 2023, §4.1; Tong et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.linear import LinearSettings
from connectors.weight_share import weight_shares


class LinearConnector(Connector):
    """Resize every grid to `queries` tokens, concatenate on channels, project once (Liu et al. 2023, §4.1).

    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`, for the language model's width H.
    Parameters: (Σ d_i + 1) H.
    """

    share_kind = "weights"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: LinearSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self.layer = nn.Linear(sum(grid.width for grid in grids), llm_width)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.layer(torch.cat(self._parts(grids), dim=-1)))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """`weight_shares` in the first linear layer."""
        return weight_shares(self.layer.weight, self._parts(grids))

    def _parts(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [resize_grid(grid, self._side) for grid in grids]
