"""`sva`: the Spatial Vision Aggregator (Tong et al. 2024, §4), in front of the language model and again inside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from connectors.contract import Connector, GridShape, Visual, VisualContext
from connectors.grids import interpolate_grid, resize_grid, square_side, windows
from connectors.padding import ImageSize, kept_cells
from connectors.settings.sva import SvaSettings
from connectors.sva_block import SvaBlock
from connectors.variance import keep_variance


class SvaConnector(Connector):
    """Learnt queries, one vector per group, each attending to its own window of every encoder's grid.

    With E encoders of widths d_i and windows of m_i x m_i, connector width h, LLM width H, G groups, depth D and N layers inside
    the LLM, and block(q) = (q + h) h + q h + 2 h² + 2 h² + 2 h + 2 h + E (2 h² + 4 h) + h Σ_{m_i > 1} m_i², parameters are
    Σ (d_i h + h² + 4 h) + G h + D Σ_g block(h) + N block(H) + (G h + 1) H + (H + 1) H; m_i are those of the group in block(h) and
    those of `queries` in block(H).
    """

    share_kind = "attention"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: SvaSettings) -> None:
        super().__init__()
        width, heads = settings.width, settings.heads
        self.queries = settings.queries
        self.inner_layers = settings.inner_layers
        self._side = square_side(settings.queries, "queries")
        self._group_sides = [square_side(count, "groups") for count in settings.groups or (settings.queries,)]
        self._grids = tuple(grids)
        self.projections = nn.ModuleList(_grid_projection(grid.width, width) for grid in grids)
        self.query = nn.Parameter(torch.randn(len(self._group_sides), width) / width**0.5)
        self.groups = nn.ModuleList(
            nn.ModuleList(SvaBlock(width, width, heads, self._spans(side)) for _ in range(settings.depth))
            for side in self._group_sides
        )
        self.output = nn.Sequential(
            nn.Linear(len(self._group_sides) * width, llm_width), nn.GELU(), nn.Linear(llm_width, llm_width)
        )
        spans = self._spans(self._side)
        self.inner = nn.ModuleDict(
            {str(layer): SvaBlock(llm_width, width, heads, spans) for layer in self.inner_layers}
        )
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        projected = self._project(grids)
        aggregated = [
            interpolate_grid(_per_image(story[-1], len(grids[0])), self._side)
            for story in self._aggregate(projected, sizes)
        ]
        context = self._context(projected, sizes, self._side) if self.inner_layers else None
        return Visual(self.output(torch.cat(aggregated, dim=-1)), context)

    def reread(self, layer: int, hidden: Tensor, context: VisualContext) -> Tensor:
        return self.inner[str(layer)](hidden, context)

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """Attention on each encoder's window, meant over queries, heads, layers and groups."""
        projected, found = self._project(grids), list[Tensor]()
        for side, blocks, hidden in zip(self._group_sides, self._blocks(), self._aggregate(projected), strict=True):
            context = self._context(projected, None, side)
            found += [block.shares(query, context) for block, query in zip(blocks, hidden, strict=False)]
        return torch.stack([_per_image(share, len(grids[0])).mean(1) for share in found]).mean(0)

    def _aggregate(self, projected: Sequence[Tensor], sizes: Sequence[ImageSize] | None = None) -> list[list[Tensor]]:
        """For each group its queries before, between and after its blocks: [images * cells, width] each."""
        stories: list[list[Tensor]] = []
        for query, blocks, side in zip(self.query, self._blocks(), self._group_sides, strict=True):
            context = self._context(projected, sizes, side)
            story = [query.expand(len(projected[0]) * side * side, -1)]
            for block in blocks:
                story.append(block(story[-1], context))
            stories.append(story)
        return stories

    def _blocks(self) -> list[list[SvaBlock]]:
        return [[block for block in group.children() if isinstance(block, SvaBlock)] for group in self.groups]

    def _project(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [project(grid) for project, grid in zip(self.projections, grids, strict=True)]

    def _context(self, projected: Sequence[Tensor], sizes: Sequence[ImageSize] | None, side: int) -> VisualContext:
        spans = self._spans(side)
        cut = [windows(resize_grid(grid, span * side), side) for grid, span in zip(projected, spans, strict=True)]
        images = torch.arange(len(projected[0]), device=projected[0].device)
        return VisualContext(
            windows=tuple(window.flatten(0, 1) for window in cut),
            seen=None if sizes is None else _sent(_seen(sizes, side, spans), projected[0].device),
            summary=projected[0].mean(1),
            image_of=images.repeat_interleave(side * side),
        )

    def _spans(self, side: int) -> tuple[int, ...]:
        """Side of each encoder's window for a grid of `side * side` queries; other grids are resized to fit."""
        return tuple(max(1, round(grid.side / side)) for grid in self._grids)


def _per_image(cells: Tensor, images: int) -> Tensor:
    """[images * cells, width] -> [images, cells, width]"""
    return cells.view(images, -1, cells.shape[-1])


def _seen(sizes: Sequence[ImageSize], side: int, spans: Sequence[int]) -> Tensor:
    """Which keys are picture: bool [images * cells, keys of all encoders]. A cell that would see nothing sees everything."""
    maps = [kept_cells(sizes, side * span).flatten(1).unsqueeze(-1) for span in spans]
    seen = torch.cat([windows(kept, side).flatten(0, 1).squeeze(-1) for kept in maps], dim=1)
    return seen | ~seen.any(1, keepdim=True)


def _sent(seen: Tensor, device: torch.device) -> Tensor:
    # From memory that is not pinned, the host would wait for what the device does.
    ready = seen.pin_memory() if device.type == "cuda" else seen
    return ready.to(device, non_blocking=True)


def _grid_projection(source: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(source, width), nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width))
