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

_CELLS_AT_ONCE = {"cpu": 72}
_CELLS_AT_ONCE_ELSEWHERE = 4608
"""Cells whose attention is computed together. What that takes beside the windows then fits a processor's cache, and memory stays
bounded; an accelerator would rather start few large kernels."""

Folded = tuple[Tensor, Tensor]
"""(weight [width, width], shift [width])"""


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
        keys, values = [_folded(part) for part in self.to_key], [_folded(part) for part in self.to_value]
        cells = _CELLS_AT_ONCE.get(query.device.type, _CELLS_AT_ONCE_ELSEWHERE)
        parts = zip(torch.split(self._asked(hidden), cells), context.split(cells), strict=True)
        attended = torch.cat([self._attended(asked, part, keys, values) for asked, part in parts])
        return query + self.output(self.norm(hidden + self.attended(attended.flatten(1))))

    def shares(self, query: Tensor, context: VisualContext) -> Tensor:
        """Attention on each encoder's window, meant over heads: [cells, encoders]."""
        features = self._normed(context.windows)
        keys = [_folded(part) for part in self.to_key]
        weights = self._weights(self._asked(self._hidden(query, context)), features, keys, context.seen)
        return torch.stack([part.sum(2).mean(1) for part in _split(weights, features)], dim=1)

    def _hidden(self, query: Tensor, context: VisualContext) -> Tensor:
        summary = self.context(context.summary)[context.image_of]
        return self.input(torch.cat([query, summary], dim=-1))

    def _asked(self, hidden: Tensor) -> Tensor:
        """[cells, width] -> [cells, heads, head width], scaled as attention scores want it."""
        asked = self.to_query(hidden).unflatten(-1, (self._heads, -1))
        return asked / asked.shape[-1] ** 0.5

    def _normed(self, windows: Sequence[Tensor]) -> list[Tensor]:
        """Features of the windows, placed and normed, before the scales and shifts that keys and values have of their own."""
        placed = [self._placed(index, window) for index, window in enumerate(windows)]
        return [functional.layer_norm(window, (self._width,)) for window in placed]

    def _placed(self, index: int, window: Tensor) -> Tensor:
        """Add the learnt code of the place inside the window, where the window has more than one place."""
        if str(index) not in self.positions:
            return window
        return window + self.positions.get_parameter(str(index))

    def _attended(
        self, asked: Tensor, context: VisualContext, keys: Sequence[Folded], values: Sequence[Folded]
    ) -> Tensor:
        """`asked: [cells, heads, head width]` -> the same shape, read from the windows."""
        features = self._normed(context.windows)
        return self._averaged(self._weights(asked, features, keys, context.seen), features, values)

    def _weights(
        self, asked: Tensor, features: Sequence[Tensor], keys: Sequence[Folded], seen: Tensor | None
    ) -> Tensor:
        """[cells, heads, keys of all encoders], summing to 1 over the keys."""
        scores = torch.cat([self._scores(asked, *each) for each in zip(features, keys, strict=True)], dim=2)
        if seen is not None:
            scores = scores.masked_fill(~seen.unsqueeze(1), float("-inf"))
        return scores.float().softmax(2).to(asked.dtype)

    def _scores(self, asked: Tensor, window: Tensor, key: Folded) -> Tensor:
        """`asked: [cells, heads, head width]`, `window: [cells, keys, width]` -> [cells, heads, keys]."""
        weight, shift = key
        if window.shape[1] == 1:
            only = functional.linear(window.squeeze(1), weight, shift)
            return (asked * self._by_head(only)).sum(-1, keepdim=True)
        backwards = torch.bmm(asked.transpose(0, 1), weight.view(self._heads, -1, self._width)).transpose(0, 1)
        return torch.bmm(backwards, window.transpose(1, 2)) + (asked * self._by_head(shift)).sum(-1, keepdim=True)

    def _averaged(self, weights: Tensor, features: Sequence[Tensor], values: Sequence[Folded]) -> Tensor:
        """`weights: [cells, heads, keys of all encoders]` -> [cells, heads, head width]."""
        parts = zip(_split(weights, features), features, values, strict=True)
        return torch.stack([self._averaged_one(*each) for each in parts]).sum(0)

    def _averaged_one(self, weights: Tensor, window: Tensor, value: Folded) -> Tensor:
        """`weights: [cells, heads, keys]`, `window: [cells, keys, width]` -> [cells, heads, head width]."""
        weight, shift = value
        if window.shape[1] == 1:
            return weights * self._by_head(functional.linear(window.squeeze(1), weight, shift))
        mixed = torch.bmm(weights, window).transpose(0, 1)
        forwards = weight.view(self._heads, -1, self._width).transpose(1, 2)
        return torch.bmm(mixed, forwards).transpose(0, 1) + weights.sum(2, keepdim=True) * self._by_head(shift)

    def _by_head(self, rows: Tensor) -> Tensor:
        """[..., width] -> [..., heads, head width]"""
        return rows.view(*rows.shape[:-1], self._heads, -1)


def _normed_linear(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))


def _folded(normed_linear: nn.Module) -> Folded:
    """What a scale, a shift and a projection without bias do to features that are normed already."""
    norm, linear = normed_linear.children()
    scale, projection = cast("nn.LayerNorm", norm), cast("nn.Linear", linear).weight
    return projection * scale.weight, projection @ scale.bias


def _split(weights: Tensor, features: Sequence[Tensor]) -> Sequence[Tensor]:
    """Cut [cells, heads, keys of all encoders] into one part an encoder."""
    return torch.split_with_sizes(weights, [window.shape[1] for window in features], dim=2)
