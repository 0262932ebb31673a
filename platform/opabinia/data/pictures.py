"""Whether an image file is there, is an image, and is complete; and what its bytes are called."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image

from opabinia.storage.addresses import parse_file
from opabinia.storage.objects import read_bytes


class PictureError(ValueError):
    """A picture that cannot be used; the message is the reason alone, one line."""


def picture_key(address: str | Path) -> str:
    """Sha256 (hex) of the file's bytes, once it is known to decode to the end. Raises PictureError."""
    content = picture_bytes(address)
    check_picture(content)
    return hashlib.sha256(content).hexdigest()


def picture_bytes(address: str | Path) -> bytes:
    """What the file holds, wherever it may be. Raises PictureError."""
    try:
        place = parse_file(address)
        return place.read_bytes() if isinstance(place, Path) else read_bytes(address)
    except FileNotFoundError:
        raise PictureError("is missing") from None
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot be read: {one_line(error)}") from None


def check_picture(content: bytes) -> None:
    """Decode every pixel, because a truncated file shows itself only at its end. Raises PictureError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content)) as image:
                image.load()
    except Image.UnidentifiedImageError:
        raise PictureError("is not an image") from None
    # Decoders meet hostile bytes and raise whatever they stumble over: struct, zlib, index and memory errors alike.
    except Exception as error:
        raise PictureError(f"cannot be decoded: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
