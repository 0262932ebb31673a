"""`additive`: the encoders' tokens are added (after the additive mixture of features, Tong et al. 2024, MMVP)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from connectors.contract import Connector, GridShape, Visual
from connectors.encoder_mlps import EncoderMlps
from connectors.padding import ImageSize
from connectors.settings.additive import AdditiveSettings


class AdditiveConnector(Connector):
    """A two-layer MLP per encoder, tokens summed cell by cell.

    Where the additive mixture of features (A-MoF, Tong et al. 2024, MMVP) fixes a weight per encoder, the MLPs learn the scale.
    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`, for the language model's width H.
    Parameters: Σ ((d_i + 1) H + (H + 1) H).
    """

    share_kind = "tokens"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: AdditiveSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self.project = EncoderMlps(grids, llm_width, settings.queries)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        return Visual(self.project(grids).sum(1))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """The norm of each encoder's tokens, of which the sum is made, over the sum of all norms."""
        norms = self.project(grids).float().flatten(2).norm(dim=2)
        return norms / norms.sum(1, keepdim=True)
