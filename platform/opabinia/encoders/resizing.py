"""Two bicubic resizes of bytes: Pillow's, which encoders were trained with, and one that keeps up with a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from opabinia.encoders.fitting import Pixels


def resize_exactly(picture: Pixels, height: int, width: int) -> Pixels:
    """`[any, any, 3]` -> `[height, width, 3]`, as Pillow has it, bit for bit."""
    return np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def resize_quickly(picture: Pixels, height: int, width: int) -> Pixels:
    """`[any, any, 3]` -> `[height, width, 3]`; the same filter with weights of 16 bits for 22, some five times as fast on x86.

    The same on every processor. Where Pillow resizes rows before columns, as it always did before version 13, at most 2 of 255 off
    from `resize_exactly`, and in 1 % of the bytes; some upright pictures it now resizes the other way round, and as what
    overshoots is cut off in between, hard edges then differ by some 10.
    """
    import torch
    from torch.nn.functional import interpolate

    if picture.shape[:2] == (height, width):
        return picture
    # As its kernel wants it: a batch of one, its channels last in memory though second in name.
    maps = interpolate(
        torch.from_numpy(picture).permute(2, 0, 1)[None], (height, width), mode="bicubic", antialias=True
    )
    return maps[0].permute(1, 2, 0).contiguous().numpy()
