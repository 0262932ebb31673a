"""`routed_sum`: a router reads text and image and weighs the encoders (after Zong et al. 2024; Shen et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, Visual
from connectors.encoder_mlps import EncoderMlps
from connectors.padding import ImageSize
from connectors.settings.routed_sum import RoutedSumSettings


class RoutedSumConnector(Connector):
    """A two-layer MLP per encoder, tokens added with weights from a soft router over text and mean tokens.

    Soft, text-conditioned weights as in MoME (Shen et al. 2024), read also from each encoder's features as the
    gate of MoVA (Zong et al. 2024) does; neither's cross-attention or deformable resampling is here.
    `grids[i]: [images, side_i * side_i, d_i]`, `text: [images, H]` -> `tokens: [images, queries, H]`. With E encoders, router
    width r and LLM width H, parameters: Σ ((d_i + 1) H + (H + 1) H) + ((E + 1) H + 1) r + (r + 1) E.
    """

    share_kind = "router"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: RoutedSumSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self.project = EncoderMlps(grids, llm_width, settings.queries)
        self.router = nn.Sequential(
            nn.Linear((len(grids) + 1) * llm_width, settings.router_width),
            nn.GELU(),
            nn.Linear(settings.router_width, len(grids)),
        )

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        projected = self.project(grids)
        return Visual((self._weights(projected, text)[:, :, None, None] * projected).sum(1))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """The router's weights."""
        return self._weights(self.project(grids), text)

    def _weights(self, projected: Tensor, text: Tensor | None) -> Tensor:
        """[images, encoders, queries, H] and [images, H] -> [images, encoders], rows summing to 1"""
        means = projected.mean(2)
        asked = torch.zeros_like(means[:, :1]) if text is None else text.to(means.dtype).unsqueeze(1)
        # Word embeddings are far smaller than visual tokens; without a common scale the router would hardly hear the text.
        seen = functional.layer_norm(torch.cat([asked, means], dim=1), means.shape[-1:])
        return self.router(seen.flatten(1)).softmax(-1)
