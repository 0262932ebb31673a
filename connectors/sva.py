"""`sva`: the Spatial Vision Aggregator (Tong et al. 2024, §4), in front of the language model and again inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual, VisualContext
from connectors.grids import resize_grid, square_side, windows
from connectors.settings import SvaSettings

_POSITION_SCALE = 0.1
"""Standard deviation of the position codes at first: at 1 they would be as strong as the features that they are added to."""


class SvaConnector(Connector):
    """Learnt queries, one vector per group, each attending to its own window of every encoder's grid.

    With E encoders of widths d_i and windows of m_i x m_i, connector width h, LLM width H, G groups, depth D and N layers inside
    the LLM, and block(q) = (q + h) h + q h + 2 h² + 2 h² + 2 h + 2 h + E (2 h² + 4 h) + h Σ_{m_i > 1} m_i², parameters are
    Σ (d_i h + h² + 4 h) + G h + G D block(h) + N block(H) + (G h + 1) H + (H + 1) H.
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: SvaSettings) -> None:
        super().__init__()
        width, heads, groups = settings.width, settings.heads, settings.groups
        self.queries = settings.queries
        self.inner_layers = settings.inner_layers
        self._side = square_side(settings.queries, "queries")
        self._spans = tuple(max(1, round(grid.side / self._side)) for grid in grids)
        self.projections = nn.ModuleList(_grid_projection(grid.width, width) for grid in grids)
        self.query = nn.Parameter(torch.randn(groups, width) / width**0.5)
        self.groups = nn.ModuleList(
            nn.ModuleList(SvaBlock(width, width, heads, self._spans) for _ in range(settings.depth))
            for _ in range(groups)
        )
        self.output = nn.Sequential(nn.Linear(groups * width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width))
        self.inner = nn.ModuleDict(
            {str(layer): SvaBlock(llm_width, width, heads, self._spans) for layer in self.inner_layers}
        )
        self.apply(_keep_variance)

    def forward(self, grids: Sequence[Tensor]) -> Visual:
        context = self._context(grids)
        images = context.summary.shape[0]
        aggregated: list[Tensor] = []
        for query, blocks in zip(self.query, self.groups, strict=True):
            hidden = query.expand(images, self.queries, -1)
            for block in cast("nn.ModuleList", blocks):
                hidden = block(hidden, context)
            aggregated.append(hidden)
        return Visual(self.output(torch.cat(aggregated, dim=-1)), context)

    def reread(self, layer: int, hidden: Tensor, context: VisualContext) -> Tensor:
        return self.inner[str(layer)](hidden, context)

    def _context(self, grids: Sequence[Tensor]) -> VisualContext:
        projected = [project(grid) for project, grid in zip(self.projections, grids, strict=True)]
        sized = [resize_grid(grid, span * self._side) for grid, span in zip(projected, self._spans, strict=True)]
        return VisualContext(tuple(windows(grid, self._side) for grid in sized), projected[0].mean(1, keepdim=True))


class SvaBlock(nn.Module):
    """One aggregation: cross-attention of each query to its windows, then a two-layer MLP, added to the query."""

    def __init__(self, query_width: int, width: int, heads: int, spans: Sequence[int]) -> None:
        super().__init__()
        self._heads = heads
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
        """`query: [images, cells, query_width]` -> the same shape."""
        summary = self.context(context.summary).expand(-1, query.shape[1], -1)
        hidden = self.input(torch.cat([query, summary], dim=-1))
        return query + self.output(self.norm(hidden + self._attend(hidden, context)))

    def _attend(self, hidden: Tensor, context: VisualContext) -> Tensor:
        placed = [self._placed(index, window) for index, window in enumerate(context.windows)]
        keys = torch.cat([project(window) for project, window in zip(self.to_key, placed, strict=True)], dim=2)
        values = torch.cat([project(window) for project, window in zip(self.to_value, placed, strict=True)], dim=2)
        # With one query a cell, products summed over the head width beat batched matrix products of one row.
        query = self._split_heads(self.to_query(hidden)).unsqueeze(2)
        key, value = self._split_heads(keys), self._split_heads(values)
        scores = (query * key).sum(-1) / key.shape[-1] ** 0.5
        return self.attended((scores.softmax(2).unsqueeze(-1) * value).sum(2).flatten(2))

    def _placed(self, index: int, window: Tensor) -> Tensor:
        """Add the learnt code of the place inside the window, where the window has more than one place."""
        if str(index) not in self.positions:
            return window
        return window + self.positions.get_parameter(str(index))

    def _split_heads(self, tensor: Tensor) -> Tensor:
        """[..., width] -> [..., heads, head width]"""
        return tensor.reshape(*tensor.shape[:-1], self._heads, -1)


def _grid_projection(source: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(source, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width))


def _normed_linear(width: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width, bias=False))


def _keep_variance(module: nn.Module) -> None:
    """Start a linear layer so that its output varies as much as its input.

    torch's default loses two thirds of the variance in each of the dozen layers between grids and language model, and the model
    learns to do without the image before the image gets through.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
