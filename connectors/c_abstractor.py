"""`c_abstractor`: Honeybee's convolutional abstractor (Cha et al. 2024, §3.2, released code)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import resize_grid, square_side
from connectors.padding import ImageSize
from connectors.settings.c_abstractor import CAbstractorSettings
from connectors.variance import keep_variance

_POSITION_SCALE = 0.02
"""Standard deviation of the position codes at first, as published."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of `[images, width, side, side]`."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SqueezeExcitation(nn.Module):
    """Scale each of h channels by a gate in (0, 1) that is read from the means of all (Hu et al. 2018).

    `[images, h, side, side]` -> the same shape. With a hidden layer of r, parameters: (h + 1) r + (r + 1) h.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, width), nn.Sigmoid())

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.gate(maps.mean((2, 3)))[:, :, None, None]


class BottleneckBlock(nn.Module):
    """RegNet's block (Radosavovic et al. 2020): pointwise, depthwise 3 x 3, squeeze-excitation, pointwise, and a shortcut.

    `[images, a, side, side]` -> `[images, h, side, side]`. With r = max(1, round(a / 4)), parameters:
    a h + h² + 15 h + (h + 1) r + (r + 1) h, and (a + 2) h for the shortcut where a is not h.
    """

    def __init__(self, source: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(source, width, kernel_size=1, bias=False),
            ChannelNorm(width),
            nn.SiLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width, bias=False),
            ChannelNorm(width),
            nn.SiLU(),
            SqueezeExcitation(width, max(1, round(source / 4))),
            nn.Conv2d(width, width, kernel_size=1, bias=False),
            ChannelNorm(width),
        )
        self.shortcut = _pointwise(source, width) if source != width else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return functional.silu(self.body(maps) + self.shortcut(maps))


class CAbstractorConnector(Connector):
    """Bottleneck blocks, adaptive average pooling to the query grid, as many blocks again, and two layers.

    Published for one encoder: a learnt code of its place is added to each token. Several encoders are then resized to the side of
    the finest grid and concatenated on channels. `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, queries, H]`.
    With D = Σ d_i, width h, depth L, LLM width H and block(a) the parameters of a `BottleneckBlock` from a to h channels,
    parameters: Σ side_i² d_i + block(D) + (2 L - 1) block(h) + (h + 1) H + (H + 1) H.
    """

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: CAbstractorSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        self._finest = max(grid.side for grid in grids)
        self.positions = nn.ParameterList(
            nn.Parameter(_POSITION_SCALE * torch.randn(grid.side**2, grid.width)) for grid in grids
        )
        width, depth = settings.width, settings.depth
        first = BottleneckBlock(sum(grid.width for grid in grids), width)
        self.blocks = nn.Sequential(
            first,
            *(BottleneckBlock(width, width) for _ in range(depth - 1)),
            nn.AdaptiveAvgPool2d(square_side(settings.queries, "queries")),
            *(BottleneckBlock(width, width) for _ in range(depth)),
        )
        self.output = nn.Sequential(nn.Linear(width, llm_width), nn.SiLU(), nn.Linear(llm_width, llm_width))
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        placed = [grid + position for position, grid in zip(self.positions, grids, strict=True)]
        joined = torch.cat([resize_grid(grid, self._finest) for grid in placed], dim=-1)
        maps: Tensor = self.blocks(joined.transpose(1, 2).unflatten(2, (self._finest, self._finest)))
        return Visual(self.output(maps.flatten(2).transpose(1, 2)))


def _pointwise(source: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(source, width, kernel_size=1, bias=False), ChannelNorm(width))
