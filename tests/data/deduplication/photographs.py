"""Different real photographs: tiles of the two that scikit-learn brings."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images

from opabinia.data.deduplication.pictures import PictureHash, difference_hash


@cache
def photographs() -> tuple[Image.Image, ...]:
    """24 pictures of 200×200 pixels, whose difference hashes are 10 bits or more apart."""
    corners = [(x, y) for x in range(0, 440, 110) for y in range(0, 227, 110)]
    images = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    return tuple(image.crop((x, y, x + 200, y + 200)) for image in images for x, y in corners)


def save(image: Image.Image, file: Path, **how: int) -> str:
    """Write a picture and return its name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **how)
    return file.name


def hashed(image: Image.Image, path: str) -> PictureHash:
    return PictureHash(path, image.tobytes()[:32].ljust(32), difference_hash(image))


def flipped(value: int, *bits: int) -> PictureHash:
    """The hash of a picture that differs from `value` in the bits named."""
    return PictureHash(str(bits), bytes(32), value ^ sum(1 << bit for bit in bits))
