"""`window_cross_attention`: Mini-Gemini's patch info mining (Li et al. 2024, §3.2, released code)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side, windows
from connectors.padding import ImageSize
from connectors.settings.window_cross_attention import WindowCrossAttentionSettings
from connectors.variance import keep_variance


class WindowCrossAttentionConnector(Connector):
    """Each token of the first of the smallest grids attends to its window of every other grid; T = MLP(Q + attention).

    Published for two encoders; with more, one softmax runs over the windows of all others, and one alone attends to its own.
    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`; the smallest grid is resized to `queries` tokens,
    the others to windows of whole tokens. With d the smallest grid's width, d_k those of the grids attended to and LLM width H,
    parameters: 2 d + (d + 1) d + Σ_k (4 d_k + 2 (d_k + 1) d) + (d + 1) H + (H + 1) H.
    """

    share_kind = "attention"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: WindowCrossAttentionSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._side = square_side(settings.queries, "queries")
        self._low = min(range(len(grids)), key=lambda index: grids[index].side)
        self._attended = [index for index in range(len(grids)) if index != self._low] or [self._low]
        self._spans = [max(1, round(grids[index].side / self._side)) for index in self._attended]
        self._encoders = len(grids)
        width = grids[self._low].width
        self.to_query = _normed_linear(width, width)
        self.to_key = nn.ModuleList(_normed_linear(grids[index].width, width) for index in self._attended)
        self.to_value = nn.ModuleList(_normed_linear(grids[index].width, width) for index in self._attended)
        self.output = nn.Sequential(nn.Linear(width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        low, cut = self._cut(grids)
        value = torch.cat([project(window) for project, window in zip(self.to_value, cut, strict=True)], dim=2)
        mined = torch.einsum("ick,ickd->icd", self._weights(low, cut), value)
        return Visual(self.output(low + mined))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """Attention on each encoder's windows, meant over tokens; the one that asks is not asked, and has 0 beside others."""
        low, cut = self._cut(grids)
        parts = torch.split_with_sizes(self._weights(low, cut), [window.shape[2] for window in cut], dim=2)
        found = low.new_zeros(len(low), self._encoders, dtype=torch.float32)
        for index, part in zip(self._attended, parts, strict=True):
            found[:, index] = part.float().sum(2).mean(1)
        return found

    def _cut(self, grids: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The tokens that ask, `[images, queries, d]`, and each attended grid's windows, `[images, queries, keys, d_k]`."""
        if len(grids) != self._encoders:
            raise ValueError(f"grids: {len(grids)} given; give one for each of the {self._encoders} encoders")
        fitted = [
            resize_grid(grids[index], span * self._side)
            for index, span in zip(self._attended, self._spans, strict=True)
        ]
        return resize_grid(grids[self._low], self._side), [windows(grid, self._side) for grid in fitted]

    def _weights(self, low: Tensor, cut: Sequence[Tensor]) -> Tensor:
        """[images, queries, keys of all windows], summing to 1 over the keys."""
        query = self.to_query(low) / low.shape[-1] ** 0.5
        key = torch.cat([project(window) for project, window in zip(self.to_key, cut, strict=True)], dim=2)
        return torch.einsum("icd,ickd->ick", query, key).float().softmax(2).to(low.dtype)


def _normed_linear(source: int, width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(source), nn.Linear(source, width))
