"""`resampler`: learnt queries attend to all tokens of all encoders (Perceiver resampler, Alayrac et al. 2022, §A.1.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.contract import Connector, GridShape, Visual
from connectors.grids import square_side
from connectors.padding import ImageSize
from connectors.settings.resampler import ResamplerSettings
from connectors.variance import keep_variance

_FINEST = 64.0
"""Half waves across the picture in the fastest code: enough to tell neighbours on a 64 x 64 grid apart."""


class ResamplerBlock(nn.Module):
    """Queries attend to the encoders' tokens and to each other, then a feed-forward of 4 widths; each is added to the queries.

    `latents: [images, queries, h]`, `tokens: [images, keys, h]`, `codes: [keys, h]` -> as `latents`. Parameters: 12 h² + 6 h.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm_latents, self.norm_tokens = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key = nn.Linear(width, width, bias=False)
        self.to_value = nn.Linear(width, width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, latents: Tensor, tokens: Tensor, codes: Tensor) -> Tensor:
        asking, seen = self.norm_latents(latents), self.norm_tokens(tokens)
        query, key = self._query_and_key(asking, seen, codes)
        value = self._by_head(self.to_value(torch.cat([seen, asking], dim=1)))
        found = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        latents = latents + self.attended(found)
        return latents + self.feedforward(latents)

    def shares(self, latents: Tensor, tokens: Tensor, codes: Tensor, counts: Sequence[int]) -> Tensor:
        """Attention on each encoder's tokens, meant over queries and heads: [images, encoders]; the rest is on other queries."""
        query, key = self._query_and_key(self.norm_latents(latents), self.norm_tokens(tokens), codes)
        # Attention over values that say whose the key is, so that no matrix of queries by keys is held.
        owner = torch.arange(len(counts), device=key.device).repeat_interleave(torch.tensor(counts, device=key.device))
        values = functional.pad(functional.one_hot(owner, len(counts)), (0, 0, 0, latents.shape[1])).to(torch.float32)
        values = values.expand(*key.shape[:2], -1, -1)
        return functional.scaled_dot_product_attention(query.float(), key.float(), values).mean((1, 2))

    def _query_and_key(self, asking: Tensor, seen: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        key = self.to_key(torch.cat([seen + codes, asking], dim=1))
        return self._by_head(self.to_query(asking)), self._by_head(key)

    def _by_head(self, rows: Tensor) -> Tensor:
        """[images, rows, width] -> [images, heads, rows, head width]"""
        return rows.view(*rows.shape[:2], self._heads, -1).transpose(1, 2)


class ResamplerConnector(Connector):
    """Project every encoder's tokens to one width; learnt queries read them all, in `depth` layers; norm and project.

    Keys, and not values, carry sine-cosine codes of their place (Bai et al. 2023, §2.1), so that grids of any side compare.
    `grids[i]: [images, side_i * side_i, d_i]` -> `tokens: [images, Q, H]`. With width h, depth D, Q queries and LLM width H,
    parameters: Σ (d_i + 1) h + Q h + D (12 h² + 6 h) + 2 h + (h + 1) H.
    """

    share_kind = "attention"

    def __init__(self, grids: Sequence[GridShape], llm_width: int, settings: ResamplerSettings) -> None:
        super().__init__()
        self.queries = settings.queries
        width = settings.width
        self.project = nn.ModuleList(nn.Linear(grid.width, width) for grid in grids)
        # Small beside what they will find; the norm in front of the attention tells them apart all the same.
        self.latents = nn.Parameter(torch.randn(settings.queries, width) / width**0.5)
        self.blocks = nn.ModuleList(ResamplerBlock(width, settings.heads) for _ in range(settings.depth))
        self.output = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, llm_width))
        self.apply(keep_variance)

    def forward(
        self, grids: Sequence[Tensor], text: Tensor | None = None, sizes: Sequence[ImageSize] | None = None
    ) -> Visual:
        tokens, codes = self._tokens(grids)
        latents = self.latents.expand(len(tokens), -1, -1)
        for block in self._blocks():
            latents = block(latents, tokens, codes)
        return Visual(self.output(latents))

    @torch.no_grad()
    def shares(self, grids: Sequence[Tensor], text: Tensor | None = None) -> Tensor:
        """Attention on each encoder's tokens, meant over queries, heads and layers, without what queries give each other."""
        tokens, codes = self._tokens(grids)
        latents, found = self.latents.expand(len(tokens), -1, -1), list[Tensor]()
        for block in self._blocks():
            found.append(block.shares(latents, tokens, codes, [grid.shape[1] for grid in grids]))
            latents = block(latents, tokens, codes)
        attention = torch.stack(found).mean(0)
        return attention / attention.sum(-1, keepdim=True)

    def _tokens(self, grids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """All encoders' tokens, `[images, keys, width]`, and the codes of their places, `[keys, width]`."""
        tokens = torch.cat([project(grid) for project, grid in zip(self.project, grids, strict=True)], dim=1)
        codes = torch.cat([place_codes(square_side(grid.shape[1]), tokens.shape[-1]) for grid in grids])
        return tokens, codes.to(tokens)

    def _blocks(self) -> list[ResamplerBlock]:
        return [block for block in self.blocks if isinstance(block, ResamplerBlock)]


def place_codes(side: int, width: int) -> Tensor:
    """Where each cell's centre is in the picture, `[side * side, width]`; `width` is a multiple of 4.

    A quarter each: sine and cosine of the row, sine and cosine of the column, of 1 to 64 half waves across the picture.
    """
    centres = (torch.arange(side) + 0.5) / side
    half_waves = torch.logspace(0, math.log10(_FINEST), width // 4)
    angles = math.pi * centres[:, None] * half_waves
    line = torch.cat([angles.sin(), angles.cos()], dim=-1)
    return torch.cat([line.repeat_interleave(side, dim=0), line.repeat(side, 1)], dim=-1)
