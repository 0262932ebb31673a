"""EVA-02-L as the backbone of a detector (Fang et al. 2023), in the layout that Eagle runs (Shi et al. 2024).

A vision transformer with SwiGLU and rotary positions whose blocks attend within windows, every third one over the whole map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from opabinia.encoders.weight_cache import hub_file
from opabinia.encoders.weight_keys import check_keys

Turn = tuple[Tensor, Tensor]
"""Cosine and sine of the angles that rotary positions turn channels by, [tokens, channels of a head] each."""

_DETECTOR_PREFIX = "backbone.net."
_THETA = 10000.0


class Eva02Detection(nn.Module):
    """`pixels: [batch, 3, side, side]` -> the last block's map `[batch, width, side / patch, side / patch]`.

    The map's side must be a multiple of `window`. `pretrained_side`, in cells: of the table of absolute positions, which is
    interpolated. `rotary_side`: the cells that rotary positions were learnt over; those of any map are spread over as many.
    """

    def __init__(
        self,
        width: int = 1024,
        depth: int = 24,
        heads: int = 16,
        hidden: int = 2730,
        patch: int = 16,
        window: int = 16,
        every: int = 3,
        pretrained_side: int = 14,
        rotary_side: int = 16,
    ) -> None:
        super().__init__()
        self.window, self.every, self.rotary_side = window, every, rotary_side
        self.head_width = width // heads
        # The first position is the class token's, which detection does without.
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + pretrained_side**2, width) * 0.02)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        self.blocks = nn.ModuleList(_Block(width, heads, hidden) for _ in range(depth))

    def forward(self, pixels: Tensor) -> Tensor:
        cells = self.patch_embed["proj"](pixels)
        side = cells.shape[2]
        cells = (cells + self._positions(side)).permute(0, 2, 3, 1)
        inside, across = self._turn(self.window, cells.device), self._turn(side, cells.device)
        for index, block in enumerate(self.blocks):
            is_global = index % self.every == self.every - 1
            cells = block(cells, side, across) if is_global else block(cells, self.window, inside)
        return cells.permute(0, 3, 1, 2)

    def _positions(self, side: int) -> Tensor:
        table = self.pos_embed[:, 1:].transpose(1, 2)
        old = round(table.shape[2] ** 0.5)
        maps = table.reshape(1, -1, old, old)
        return functional.interpolate(maps.float(), (side, side), mode="bicubic").to(maps.dtype)

    def _turn(self, side: int, device: torch.device) -> Turn:
        return rotary_turn(side, self.rotary_side, self.head_width, device)


def rotary_turn(side: int, learnt_side: int, channels: int, device: torch.device) -> Turn:
    """For a map of `side` x `side` cells spread over the `learnt_side` of pretraining; neighbouring channels turn as one pair.

    The first half of the channels turns with the row, the second with the column.
    """
    half = channels // 2
    speeds = _THETA ** -(torch.arange(0, half, 2, device=device) / half)
    places = torch.arange(side, device=device) / side * learnt_side
    angles = torch.outer(places, speeds).repeat_interleave(2, dim=1)
    rows, columns = angles[:, None].expand(-1, side, -1), angles[None].expand(side, -1, -1)
    both = torch.cat([rows, columns], dim=-1).flatten(0, 1)
    return both.cos(), both.sin()


def load(weights: str) -> nn.Module:
    """From a file of this machine or of the hub (`OWNER/NAME/PATH`), read without running what it holds.

    Raises ValueError when a weight of the backbone is missing, unexpected or of another shape.
    """
    checkpoint: Mapping[str, Any] = torch.load(hub_file(weights), map_location="cpu", weights_only=True)
    # The average of the weights over training is what was evaluated, where a checkpoint has it.
    states = (checkpoint[name] for name in ("ema_state", "model", "module") if name in checkpoint)
    backbone = _backbone(next(states, checkpoint))
    network = Eva02Detection()
    given = {name: (f"{_DETECTOR_PREFIX}{name}", weight) for name, weight in backbone.items()}
    check_keys(network.state_dict(), given, "the detector's backbone does not fit")
    network.load_state_dict(backbone)
    return network


def _backbone(detector: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # The tables of rotary positions are computed here.
    return {
        name.partition(_DETECTOR_PREFIX)[2]: weight
        for name, weight in detector.items()
        if _DETECTOR_PREFIX in name and "rope" not in name
    }


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _SwiGlu(width, hidden)

    def forward(self, cells: Tensor, window: int, turn: Turn) -> Tensor:
        """`cells: [batch, side, side, width]`, which attend within squares of `window` cells a side."""
        attended = self.attn(_windows(self.norm1(cells), window), turn)
        cells = cells + _from_windows(attended, window, cells.shape[1])
        return cells + self.mlp(self.norm2(cells))


class _Attention(nn.Module):
    """Queries and values have a bias, keys have none; queries and keys are turned by their place."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor, turn: Turn) -> Tensor:
        query = _turned(self._by_head(self.q_proj(tokens) + self.q_bias), turn)
        key = _turned(self._by_head(self.k_proj(tokens)), turn)
        value = self._by_head(self.v_proj(tokens) + self.v_bias)
        return self.proj(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class _SwiGlu(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden)
        self.w2 = nn.Linear(width, hidden)
        self.ffn_ln = nn.LayerNorm(hidden, eps=1e-6)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.w3(self.ffn_ln(functional.silu(self.w1(tokens)) * self.w2(tokens)))


def _turned(tokens: Tensor, turn: Turn) -> Tensor:
    """Turn pairs of neighbouring channels of `tokens: [batch, heads, tokens, channels]`, in float32."""
    cosine, sine = turn
    exact = tokens.float()
    across = torch.stack([-exact[..., 1::2], exact[..., 0::2]], dim=-1).flatten(-2)
    return (exact * cosine + across * sine).to(tokens.dtype)


def _windows(cells: Tensor, window: int) -> Tensor:
    """`[batch, side, side, width]` -> `[batch * windows, window * window, width]`."""
    batch, side, _, width = cells.shape
    cut = cells.view(batch, side // window, window, side // window, window, width).transpose(2, 3)
    return cut.reshape(-1, window * window, width)


def _from_windows(tokens: Tensor, window: int, side: int) -> Tensor:
    """The reverse of `_windows`."""
    count, width = side // window, tokens.shape[2]
    cut = tokens.view(-1, count, count, window, window, width).transpose(2, 3)
    return cut.reshape(-1, side, side, width)
