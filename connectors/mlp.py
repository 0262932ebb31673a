"""`mlpNx_gelu`: channel concatenation of all grids, then N linear layers (Liu et al. 2024; Shi et al. 2024, §3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.mlp import MlpSettings
from connectors.weight_share import weight_shares


class MlpConnector(Connector):
    """Resize every grid to `queries` tokens, concatenate on channels, project.

    Parameters: (sum of widths + 1) * H + (depth - 1) * (H + 1) * H, for the language model's width H.
    """

    share_kind = "weights"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: MlpSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        layers: list[nn.Module] = [nn.Linear(sum(grid.width for grid in grids), llm_width)]
        for _ in range(settings.depth - 1):
            layers += [nn.GELU(), nn.Linear(llm_width, llm_width)]
        self.layers = nn.Sequential(*layers)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.layers(torch.cat(self._parts(grids), dim=-1)))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """`weight_shares` in the first linear layer."""
        return weight_shares(self.layers.get_parameter("0.weight"), self._parts(grids))

    def _parts(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [resize_grid(grid, self._side) for grid in grids]
