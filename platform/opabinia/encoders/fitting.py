"""How a picture becomes the square of bytes that an encoder starts from; encoders that agree on that share one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from opabinia.encoders.entry import EncoderEntry, Fit

Pixels = NDArray[np.uint8]
"""Bytes of a picture, [height, width, 3], contiguous."""

Resize = Callable[[Pixels, int, int], Pixels]
"""From any picture to one of that height and width."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A square of `side` pixels, how a picture is made one, and the colour (0 to 255 per channel) that pads it."""

    side: int
    fit: Fit
    fill: tuple[int, int, int] | None = None

    @property
    def name(self) -> str:
        """What tells it from any other, as in "384 pixels, pad 7a7468"."""
        return f"{self.side} pixels, {self.fit}" + (f" {bytes(self.fill).hex()}" if self.fill else "")


def fitting_of(entry: EncoderEntry) -> Fitting:
    """What the entry asks for; whatever is arithmetic, and a change from its shared size to its input size, comes after."""
    side = entry.shared_size or entry.input_size
    if entry.fit != "pad":
        return Fitting(side, entry.fit)
    red, green, blue = (int(value * 255) for value in entry.fill or entry.mean)
    return Fitting(side, "pad", (red, green, blue))


def fittings_of(entries: Iterable[EncoderEntry]) -> tuple[Fitting, ...]:
    """Each of theirs once, in the order of the entries that ask first."""
    return tuple(dict.fromkeys(map(fitting_of, entries)))


def fitted(picture: Pixels, fitting: Fitting, resize: Resize) -> Pixels:
    """The picture as the fitting asks: [side, side, 3]."""
    if fitting.fit == "crop":
        return _cropped(picture, fitting.side)
    square = picture if fitting.fill is None else _padded(picture, fitting.fill)
    return resize(square, fitting.side, fitting.side)


def _cropped(picture: Pixels, side: int) -> Pixels:
    # The middle may begin between two pixels, and what lies beside it counts at its edge: Pillow knows how.
    return np.array(ImageOps.fit(Image.fromarray(picture), (side, side), Image.Resampling.BICUBIC))


def _padded(picture: Pixels, fill: tuple[int, int, int]) -> Pixels:
    """Centred in a square of one colour, the odd pixel at the bottom or the right (as Cambrian and Eagle pad)."""
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.empty((side, side, 3), np.uint8)
    # Row by row, because pixel by pixel takes thirty times as long.
    square[:] = np.full((side, 3), fill, np.uint8)
    square[top : top + height, left : left + width] = picture
    return square
