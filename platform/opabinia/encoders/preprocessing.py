"""From a picture to one encoder's input tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from opabinia.encoders.catalogue import EncoderEntry


def pixels_from_image(image: Image.Image, entry: EncoderEntry) -> Tensor:
    """Resize to the encoder's square input (bicubic, aspect not kept) and normalise: `[3, input_size, input_size]` float32."""
    side = entry.input_size
    resized = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (entry.mean, entry.std))
    return (pixels - mean) / std
