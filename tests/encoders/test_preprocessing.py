"""Pictures become an encoder's input: fitted to the square, normalised, decoded once."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from opabinia.encoders.preprocessing import pixels_from_image
from tests.encoders.small_entries import VIT

PLAIN = replace(VIT, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def _bytes(pixels: torch.Tensor) -> np.ndarray:
    return (pixels * 255).round().byte().permute(1, 2, 0).numpy()


def test_padding_centres_the_picture_in_the_mean_colour() -> None:
    picture = _picture(8, 5)
    entry = replace(PLAIN, input_size=8, fit="pad", mean=(0.485, 0.456, 0.406))
    pixels = _bytes(pixels_from_image(picture, entry) + torch.tensor(entry.mean)[:, None, None])
    assert (pixels[1:6] == np.asarray(picture)).all()
    # One row above and two below, of floor(255 * mean).
    assert (pixels[[0, 6, 7]] == (123, 116, 103)).all()


def test_padding_takes_the_colour_that_the_entry_states_instead() -> None:
    entry = replace(PLAIN, input_size=8, fit="pad", fill=(1.0, 0.0, 0.5))
    assert (_bytes(pixels_from_image(_picture(4, 8), entry))[:, 0] == (255, 0, 127)).all()


def test_cropping_keeps_the_middle() -> None:
    picture = _picture(12, 8)
    assert (
        _bytes(pixels_from_image(picture, replace(PLAIN, input_size=8, fit="crop"))) == np.asarray(picture)[:, 2:10]
    ).all()


def test_stretching_keeps_everything() -> None:
    picture = _picture(12, 8)
    expected = np.asarray(picture.resize((6, 6), Image.Resampling.BICUBIC))
    assert (_bytes(pixels_from_image(picture, replace(PLAIN, input_size=6))) == expected).all()


def test_a_picture_can_be_normalised_by_its_own_statistics() -> None:
    picture = _picture(8, 8)
    values = np.asarray(picture, float).transpose(2, 0, 1)
    pixels = pixels_from_image(picture, replace(VIT, input_size=8, normalisation="picture"))
    np.testing.assert_allclose(pixels.numpy(), (values - values.mean()) / values.std(ddof=1), atol=1e-4)
    one_colour = pixels_from_image(Image.new("RGB", (8, 8), (90, 90, 90)), replace(VIT, normalisation="picture"))
    assert torch.isfinite(one_colour).all()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_several_encoders_decode_a_picture_once(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    _picture(32, 32).save(file, format)
    picture = Image.open(file)
    pixels_from_image(picture, VIT)
    # Whoever decodes again finds no decoder.
    monkeypatch.setattr(Image, "_getdecoder", None)
    assert pixels_from_image(picture, replace(VIT, input_size=48)).shape == (3, 48, 48)
