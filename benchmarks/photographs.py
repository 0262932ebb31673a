"""JPEG files with about the detail, and hence the size, of photographs; the same for the same seed."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_SHAPES = 12


def photograph(seed: int, width: int, height: int, quality: int = 90) -> bytes:
    """Shapes before clouds of every scale, most of it in brightness: some 3.4 bits a pixel at quality 90, as a camera's have."""
    rng = np.random.default_rng(seed)
    brightness = _clouds(rng, width, height, 1.1) * 45
    colours = [_clouds(rng, width, height, 1.6) * 25 for _ in range(3)]
    levels = np.stack([120 + brightness + colour for colour in colours], axis=-1)
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for index in range(_SHAPES):
        left, top = rng.integers(0, width), rng.integers(0, height)
        right, bottom = left + rng.integers(10, height // 3), top + rng.integers(10, height // 3)
        red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
        shape = draw.ellipse if index % 2 else draw.rectangle
        shape((int(left), int(top), int(right), int(bottom)), fill=(red, green, blue))
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _clouds(rng: np.random.Generator, width: int, height: int, steepness: float) -> NDArray[np.float64]:
    """Noise of deviation 1 whose amplitude falls with frequency to the power of `steepness`, as it does in photographs."""
    frequency = np.hypot(np.fft.rfftfreq(width)[None], np.fft.fftfreq(height)[:, None])
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal((height, width)))
    clouds = np.fft.irfft2(noise / frequency**steepness, (height, width))
    return clouds / clouds.std()
