"""Interpolation of feature grids with aligned corners."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from connectors.grids import square_side


def align_grid(features: Tensor, side: int) -> Tensor:
    """Bilinear from `[images, tokens, width]` to `side * side` tokens with aligned corners, in float32, cast back.

    A grid that already has the side is given back as it is (Shi et al. 2024, released code).
    """
    old = square_side(features.shape[1])
    if old == side:
        return features
    maps = features.float().transpose(1, 2).reshape(features.shape[0], features.shape[2], old, old)
    resized = functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=True)
    return resized.flatten(2).transpose(1, 2).to(features.dtype)
