"""From a picture to one encoder's input tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from opabinia.encoders.reading import resized

if TYPE_CHECKING:
    from opabinia.encoders.entry import EncoderEntry


def pixels_from_image(image: Image.Image, entry: EncoderEntry) -> Tensor:
    """Fit to the encoder's square input (bicubic) and normalise: `[3, input_size, input_size]` float32.

    A picture that is still in its file is decoded by the first encoder that asks and kept for the others.
    """
    fitted = _fitted(image.convert("RGB"), entry, entry.shared_size or entry.input_size)
    pixels = _normalised(torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float() / 255, entry)
    return resized(pixels[None], entry.input_size, entry.shared_interpolation)[0]


def _normalised(pixels: Tensor, entry: EncoderEntry) -> Tensor:
    if entry.normalisation == "picture":
        return _standardised(pixels)
    mean, std = (torch.tensor(values)[:, None, None] for values in (entry.mean, entry.std))
    return (pixels - mean) / std


def _fitted(image: Image.Image, entry: EncoderEntry, side: int) -> Image.Image:
    size = (side, side)
    if entry.fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BICUBIC)
    square = _padded(image, entry.fill or entry.mean) if entry.fit == "pad" else image
    return square.resize(size, Image.Resampling.BICUBIC)


def _padded(image: Image.Image, fill: tuple[float, float, float]) -> Image.Image:
    """Centred in a square of one colour, the odd pixel at the bottom or the right (as Cambrian and Eagle pad)."""
    side = max(image.size)
    red, green, blue = (int(value * 255) for value in fill)
    square = Image.new("RGB", (side, side), (red, green, blue))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _standardised(pixels: Tensor) -> Tensor:
    # As Pix2Struct does (Lee et al. 2023): one mean and deviation for all channels, floored for a picture of one colour.
    levels = pixels * 255
    return (levels - levels.mean()) / levels.std().clamp(min=levels.numel() ** -0.5)
