"""A picture's file becomes the bytes that encoders start from: decoded once for all of them, each square of bytes made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

from opabinia.data.pictures import PictureError, one_line
from opabinia.encoders.fitting import Fitting, Pixels, fitted
from opabinia.encoders.resizing import resize_quickly

Decoding = Literal["full", "reduced"]
"""Every pixel of the file; or, of a JPEG with at least 2 * ENOUGH a side, 1/2, 1/4 or 1/8 of them a side but at least ENOUGH.

How far is for the picture alone to say, not for the encoders, so that one sees the same whichever others it is combined with.
Reduced, a decoder spares work on pixels but none on the file's bits, which is most of its work: twelve megapixels take a quarter
less time. Features change by 1 to 2 % where ENOUGH is twice the encoder's input, as much as by computing them in bfloat16, and by
up to 6 % where it is the input itself.
"""

ENOUGH = 1024
"""Pixels a side: the largest input in the catalogue, and twice what most take."""


def read_pixels(content: bytes, fittings: Sequence[Fitting], decoding: Decoding = "full") -> list[Pixels]:
    """A square of bytes per fitting, [side, side, 3], from what a picture's file holds. Raises PictureError."""
    return squares_of(open_picture(content, decoding), fittings)


def squares_of(image: Image.Image, fittings: Sequence[Fitting]) -> list[Pixels]:
    """What `read_pixels` makes of a picture that is open already."""
    picture = pixels_of(image)
    return [fitted(picture, fitting, resize_quickly) for fitting in fittings]


def open_picture(content: bytes, decoding: Decoding = "full") -> Image.Image:
    """The picture decoded, as RGB; neither turned as its file may say, nor its colours managed. Raises PictureError."""
    try:
        with Image.open(BytesIO(content)) as image:
            if decoding == "reduced":
                image.draft(None, (ENOUGH, ENOUGH))
            return _as_rgb(image)
    # As in the audit: a decoder may raise anything.
    except Exception as error:
        raise PictureError(one_line(error)) from None


def pixels_of(image: Image.Image) -> Pixels:
    """A picture of any mode, decoded or not, as bytes: [height, width, 3]."""
    return np.array(_as_rgb(image))


def check_decoding(decoding: Decoding, fittings: Iterable[Fitting]) -> None:
    """Raises ValueError where reducing could leave an encoder fewer pixels than it takes."""
    largest = max((fitting.side for fitting in fittings), default=0)
    if decoding == "reduced" and largest > ENOUGH:
        raise ValueError(f"decoding: reduced keeps {ENOUGH} pixels a side, and an encoder takes {largest}; use full")


def _as_rgb(image: Image.Image) -> Image.Image:
    # Decoding in place, so that whoever asks next finds it done.
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")
