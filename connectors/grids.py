"""Geometry of feature grids: token lists and maps, resizing, windows."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional


def square_side(tokens: int, what: str = "tokens") -> int:
    """Side of a square grid of `tokens`; ValueError where the count is not a square."""
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ValueError(f"{what}: {tokens} is not a square; use {side**2} or {(side + 1) ** 2}")
    return side


def resize_grid(features: Tensor, side: int) -> Tensor:
    """Resize `[images, tokens, width]` to `side * side` tokens, in float32, cast back.

    A grid that shrinks by a whole factor is averaged over its cells, so that no encoder's finer tokens are dropped; otherwise as
    `interpolate_grid` does.
    """
    old = square_side(features.shape[1])
    if old == side or old % side:
        return interpolate_grid(features, side)
    return _as_tokens(functional.avg_pool2d(_as_maps(features, old), old // side), features)


def interpolate_grid(features: Tensor, side: int) -> Tensor:
    """The same, always bilinear without aligned corners or antialiasing (Tong et al. 2024, released code)."""
    old = square_side(features.shape[1])
    if old == side:
        return features
    maps = functional.interpolate(_as_maps(features, old), size=(side, side), mode="bilinear", align_corners=False)
    return _as_tokens(maps, features)


def windows(features: Tensor, side: int) -> Tensor:
    """Cut a grid into `side * side` windows: `[images, tokens, width]` -> `[images, cells, tokens per window, width]`."""
    span = square_side(features.shape[1]) // side
    images, _, width = features.shape
    cut = features.view(images, side, span, side, span, width).permute(0, 1, 3, 2, 4, 5)
    return cut.reshape(images, side * side, span * span, width)


def _as_maps(features: Tensor, side: int) -> Tensor:
    return features.transpose(1, 2).reshape(features.shape[0], features.shape[2], side, side).float()


def _as_tokens(maps: Tensor, like: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2).to(like.dtype)
