"""Small pictures and their files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Independent bytes: the hardest that there is for whoever rounds."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def waves(width: int, height: int) -> Image.Image:
    """Smooth, as most of a photograph is, and different in each channel."""
    x, y = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 7, height))
    levels = 128 + 90 * np.stack([np.sin(x + y), np.cos(x - y), np.sin(x) * np.cos(y)], axis=-1)
    return Image.fromarray(levels.astype(np.uint8))


def file_of(image: Image.Image, format: str, **options: Any) -> bytes:
    held = io.BytesIO()
    image.save(held, format, **options)
    return held.getvalue()
