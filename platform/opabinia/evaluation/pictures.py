"""Opening the pictures that questions name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

OpenPicture = Callable[[str], "Image"]
"""From a question's `image` to the picture, in RGB."""


def pictures_in(folder: Path) -> OpenPicture:
    """Pictures whose names are paths relative to a folder."""
    return lambda name: decoded(folder / name, str(folder / name))


def decoded(content: Path | IO[bytes], name: str) -> Image:
    """Raises ValueError naming a picture that cannot be decoded."""
    from PIL import Image

    try:
        with Image.open(content) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"benchmark.images: {name} cannot be read as an image ({error}); replace the file") from None
