"""From a picture to one encoder's input tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from opabinia.encoders.fitting import fitted, fitting_of
from opabinia.encoders.pixels import pixels_of
from opabinia.encoders.reading import resized
from opabinia.encoders.resizing import resize_exactly

if TYPE_CHECKING:
    from opabinia.encoders.entry import EncoderEntry


def pixels_from_image(image: Image.Image, entry: EncoderEntry) -> Tensor:
    """Fit to the encoder's square input (bicubic) and normalise: `[3, input_size, input_size]` float32.

    A picture that is still in its file is decoded by the first encoder that asks and kept for the others.
    """
    square = fitted(pixels_of(image), fitting_of(entry), resize_exactly)
    return normalised(torch.from_numpy(square)[None], entry)[0]


def normalised(pixels: Tensor, entry: EncoderEntry) -> Tensor:
    """Bytes `[pictures, side, side, 3]` as `read_pixels` gives them -> `[pictures, 3, input_size, input_size]` float32.

    All that is arithmetic, on the device that the bytes are on: a quarter of what its answer takes has to be brought there.
    """
    channels_first = pixels.permute(0, 3, 1, 2)
    picture_by_picture = entry.normalisation == "picture"
    scaled = _standardised(channels_first) if picture_by_picture else _by_dataset(channels_first, entry)
    return resized(scaled, entry.input_size, entry.shared_interpolation).contiguous()


def _by_dataset(pixels: Tensor, entry: EncoderEntry) -> Tensor:
    mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (entry.mean, entry.std))
    # In place, because on a processor new memory for every step takes four times as long as the steps.
    return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255).sub_(mean).div_(std)


def _standardised(pixels: Tensor) -> Tensor:
    # As Pix2Struct does (Lee et al. 2023): one mean and deviation for all channels, floored for a picture of one colour.
    # Picture by picture and in the order of the bytes, because sums round otherwise.
    levels = pixels.float() / 255 * 255
    return torch.stack([(one - one.mean()) / one.std().clamp(min=one.numel() ** -0.5) for one in levels])
