"""Where a picture that was padded to a square is, on the grid of tokens that its square became (Tong et al. 2024, released code)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ImageSize = tuple[int, int]
"""Width and height of the original picture, in pixels."""


def kept_span(size: ImageSize, side: int) -> tuple[slice, slice]:
    """Rows and columns of a `side * side` grid that hold the picture; it may be none where the picture is a mere line.

    Both floors, and the order of the products, are the published ones: the number of visual tokens follows from them.
    Raises ValueError for a size that is not positive.
    """
    width, height = size
    if width <= 0 or height <= 0:
        raise ValueError(f"image_sizes: {width} x {height} is no picture; give width and height in pixels")
    everything = slice(0, side)
    if width > height:
        padding = (side - int(height * (side / width))) // 2
        return slice(padding, side - padding), everything
    padding = (side - int(width * (side / height))) // 2
    return everything, slice(padding, side - padding)


def kept_cells(sizes: Sequence[ImageSize], side: int) -> Tensor:
    """Which cells of each picture's grid hold picture rather than padding: bool [images, side, side]."""
    kept = torch.zeros(len(sizes), side, side, dtype=torch.bool)
    for image, size in zip(kept, sizes, strict=True):
        image[kept_span(size, side)] = True
    return kept
