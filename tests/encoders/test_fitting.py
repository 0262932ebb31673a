"""A picture is made square as its entry asks, and what several entries ask alike is made once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from opabinia.encoders.catalogue import CATALOGUE, find_encoder
from opabinia.encoders.fitting import Fitting, fitted, fitting_of, fittings_of
from opabinia.encoders.resizing import resize_exactly, resize_quickly
from tests.encoders.pictures import noise, waves
from tests.encoders.small_entries import VIT

SIDES = st.integers(1, 60)
BICUBIC = Image.Resampling.BICUBIC


def as_published(image: Image.Image, fitting: Fitting) -> np.ndarray:
    """In one resize of a whole square, as LLaVA, Cambrian and Eagle do."""
    size = (fitting.side, fitting.side)
    if fitting.fit == "crop":
        return np.asarray(ImageOps.fit(image, size, BICUBIC))
    if fitting.fit == "stretch":
        return np.asarray(image.resize(size, BICUBIC))
    side = max(image.size)
    square = Image.new("RGB", (side, side), fitting.fill)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize(size, BICUBIC))


@given(SIDES, SIDES, SIDES, st.sampled_from(["stretch", "pad", "crop"]))
def test_exactly_is_as_the_published_models_do_it(width: int, height: int, side: int, fit: str) -> None:
    fitting = Fitting(side, fit, (123, 116, 103) if fit == "pad" else None)
    square = fitted(np.asarray(noise(width, height)), fitting, resize_exactly)
    assert (square == as_published(noise(width, height), fitting)).all()


@pytest.mark.parametrize("size", [(160, 120), (120, 160), (50, 40), (300, 20)])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_quickly_is_what_exactly_gives_but_for_rounding(size: tuple[int, int], fit: str) -> None:
    picture, fitting = np.array(waves(*size)), Fitting(64, fit, (9, 99, 199) if fit == "pad" else None)
    quick, exact = (fitted(picture, fitting, resize).astype(int) for resize in (resize_quickly, resize_exactly))
    assert np.abs(quick - exact).max() <= 2


def test_an_entry_is_fitted_at_the_size_that_it_shares_and_padded_with_its_colour() -> None:
    entry = replace(VIT, input_size=16, fit="pad", mean=(0.1, 0.5, 0.999))
    assert fitting_of(entry) == Fitting(16, "pad", (25, 127, 254))
    assert fitting_of(replace(entry, shared_size=64, fill=(1.0, 0.0, 0.5))) == Fitting(64, "pad", (255, 0, 127))
    # A colour that pads nothing tells no two fittings apart.
    assert fitting_of(replace(entry, fit="stretch")) == Fitting(16, "stretch")


def test_what_several_entries_ask_alike_is_made_once() -> None:
    names = ("cambrian/clip-l-336", "cambrian/dinov2-l-336", "cambrian/siglip-so-384", "cambrian/siglip-l-384")
    clip, dino, siglip = fittings_of(map(find_encoder, names))
    assert (clip.side, dino.side, siglip.side) == (336, 336, 384)
    # CLIP's mean colour is not ImageNet's.
    assert clip != dino
    eagle = [entry for entry in CATALOGUE.values() if entry.id.startswith("eagle/")]
    assert [fitting.side for fitting in fittings_of(eagle)] == [1024]


def test_no_two_fittings_of_the_catalogue_have_one_name() -> None:
    fittings = fittings_of(CATALOGUE.values())
    assert len({fitting.name for fitting in fittings}) == len(fittings) > 10
