"""Both resizes against the filter written out as sums, and the quick one against its promise."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from opabinia.encoders.resizing import resize_exactly, resize_quickly
from tests.encoders.pictures import noise, waves


def bicubic(length: int, new: int) -> np.ndarray:
    """[new, length] weights of Keys' cubic with a = -0.5, widened by the scale where that shrinks (Pillow's "BICUBIC")."""
    scale = length / new
    wide = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(length)[None] - centres[:, None]) / wide
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("resize", [resize_exactly, resize_quickly])
@pytest.mark.parametrize("height, width", [(20, 30), (64, 30), (20, 90), (80, 100)])
def test_it_is_the_filter_to_within_rounding(resize: object, height: int, width: int) -> None:
    picture = np.array(waves(70, 50))
    expected = np.einsum("yi,ijc,xj->yxc", bicubic(50, height), picture.astype(float), bicubic(70, width))
    given = resize(picture, height, width)  # type: ignore[operator]
    assert given.shape == (height, width, 3) and given.dtype == np.uint8
    # Half a level per pass, and what the weights' own rounding adds.
    assert np.abs(given - expected.clip(0, 255)).max() <= 2


def test_the_quick_one_depends_on_no_processor_and_no_version() -> None:
    picture = np.array(noise(120, 90))
    squares = resize_quickly(picture, 33, 77).tobytes() + resize_quickly(picture, 200, 64).tobytes()
    # The same with and without AVX2 and AVX-512, on PyTorch 2.15.
    assert hashlib.sha256(squares).hexdigest()[:16] == "329a5a796abc98cd"
