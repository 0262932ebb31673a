"""One layer of the Spatial Vision Aggregator: cross-attention of single queries, each to a window of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import VisualContext

_POSITION_SCALE = 0.1
"""Standard deviation of the position codes at first: at 1, as published, they are as strong as the features they are added to."""


class SvaBlock(nn.Module):
    """Cross-attention of each query to its windows, then a two-layer MLP, added to the query (Tong et al. 2024, §4).

    A window has many keys and one query, so keys and values are never formed: the query goes through the key projection backwards
    and meets the normed features themselves, and the features are averaged before they go through the value projection. That is
    the same sum in another order, with a fraction of the products and of the memory.
    """

    def __init__(self, query_width: int, width: int, heads: int, spans: Sequence[int]) -> None:
        super().__init__()
        self._heads, self._width = heads, width
        self.context = nn.Linear(width, width, bias=False)
        self.input = nn.Linear(query_width + width, width, bias=False)
        self.to_query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))
        self.to_key = nn.ModuleList(_normed_linear(width) for _ in spans)
        self.to_value = nn.ModuleList(_normed_linear(width) for _ in spans)
        self.positions = nn.ParameterDict(
            {
                str(index): nn.Parameter(_POSITION_SCALE * torch.randn(span * span, width))
                for index, span in enumerate(spans)
                if span > 1
            }
        )
        self.attended = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.GELU(), nn.Linear(width, query_width, bias=False)
        )

    def forward(self, query: Tensor, context: VisualContext) -> Tensor:
        """`query: [cells, query_width]` -> the same shape."""
        hidden = self._hidden(query, context)
        features = self._normed(context)
        weights = self._weights(hidden, features, context.seen)
        attended = torch.stack(
            [self._values(index, part, features[index]) for index, part in enumerate(_split(weights, features))]
        ).sum(0)
        return query + self.output(self.norm(hidden + self.attended(attended.flatten(1))))

    def shares(self, query: Tensor, context: VisualContext) -> Tensor:
        """Attention on each encoder's window, meant over heads: [cells, encoders]."""
        features = self._normed(context)
        weights = self._weights(self._hidden(query, context), features, context.seen)
        return torch.stack([part.sum(2).mean(1) for part in _split(weights, features)], dim=1)

    def _hidden(self, query: Tensor, context: VisualContext) -> Tensor:
        summary = self.context(context.summary)[context.image_of]
        return self.input(torch.cat([query, summary], dim=-1))

    def _normed(self, context: VisualContext) -> list[Tensor]:
        """Features of the windows, placed and normed, before the scales and shifts that keys and values have of their own."""
        placed = [self._placed(index, window) for index, window in enumerate(context.windows)]
        return [functional.layer_norm(window, (self._width,)) for window in placed]

    def _placed(self, index: int, window: Tensor) -> Tensor:
        """Add the learnt code of the place inside the window, where the window has more than one place."""
        if str(index) not in self.positions:
            return window
        return window + self.positions.get_parameter(str(index))

    def _weights(self, hidden: Tensor, features: Sequence[Tensor], seen: Tensor | None) -> Tensor:
        """[cells, heads, keys of all encoders], summing to 1 over the keys."""
        query = self.to_query(hidden).unflatten(-1, (self._heads, -1))
        query = query / query.shape[-1] ** 0.5
        scores = torch.cat([self._scores(index, query, window) for index, window in enumerate(features)], dim=2)
        if seen is not None:
            scores = scores.masked_fill(~seen.unsqueeze(1), float("-inf"))
        return scores.float().softmax(2).to(hidden.dtype)

    def _scores(self, index: int, query: Tensor, window: Tensor) -> Tensor:
        """`query: [cells, heads, head width]`, `window: [cells, keys, width]` -> [cells, heads, keys]."""
        norm, linear = _parts(self.to_key[index])
        if window.shape[1] == 1:
            key = linear(window * norm.weight + norm.bias).unflatten(-1, (self._heads, -1))
            return (query * key.squeeze(1)).sum(-1, keepdim=True)
        folded = torch.einsum("chd,hde->che", query, self._by_head(linear.weight * norm.weight))
        shift = (query * self._by_head(linear.weight @ norm.bias)).sum(-1, keepdim=True)
        return folded @ window.transpose(1, 2) + shift

    def _values(self, index: int, weights: Tensor, window: Tensor) -> Tensor:
        """`weights: [cells, heads, keys]`, `window: [cells, keys, width]` -> [cells, heads, head width]."""
        norm, linear = _parts(self.to_value[index])
        if window.shape[1] == 1:
            value = linear(window * norm.weight + norm.bias).unflatten(-1, (self._heads, -1))
            return weights * value.squeeze(1)
        values = torch.einsum("che,hde->chd", weights @ window, self._by_head(linear.weight * norm.weight))
        return values + weights.sum(2, keepdim=True) * self._by_head(linear.weight @ norm.bias)

    def _by_head(self, rows: Tensor) -> Tensor:
        """[width, ...] -> [heads, head width, ...]"""
        return rows.view(self._heads, -1, *rows.shape[1:])


def _normed_linear(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))


def _parts(normed_linear: nn.Module) -> tuple[nn.LayerNorm, nn.Linear]:
    norm, linear = normed_linear.children()
    return cast("nn.LayerNorm", norm), cast("nn.Linear", linear)


def _split(weights: Tensor, features: Sequence[Tensor]) -> Sequence[Tensor]:
    """Cut [cells, heads, keys of all encoders] into one part an encoder."""
    return torch.split_with_sizes(weights, [window.shape[1] for window in features], dim=2)
