"""Pictures become an encoder's input: fitted to the square, normalised, decoded once."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn import functional

from opabinia.encoders.backbones import hf
from opabinia.encoders.catalogue import CATALOGUE
from opabinia.encoders.catalogue.pixel_statistics import CLIP_MEAN, CLIP_STD
from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.fitting import fitted, fitting_of
from opabinia.encoders.pixels import pixels_of
from opabinia.encoders.preprocessing import normalised, pixels_from_image
from opabinia.encoders.resizing import resize_exactly
from tests.encoders.pictures import noise
from tests.encoders.small_entries import VIT

PLAIN = replace(VIT, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


_KINDS = {
    (entry.input_size, entry.fit, entry.fill, entry.mean, entry.normalisation, entry.shared_size): entry
    for entry in CATALOGUE.values()
}


def _bytes(pixels: torch.Tensor) -> np.ndarray:
    return (pixels * 255).round().byte().permute(1, 2, 0).numpy()


def test_padding_centres_the_picture_in_the_mean_colour() -> None:
    picture = noise(8, 5)
    entry = replace(PLAIN, input_size=8, fit="pad", mean=(0.485, 0.456, 0.406))
    pixels = _bytes(pixels_from_image(picture, entry) + torch.tensor(entry.mean)[:, None, None])
    assert (pixels[1:6] == np.asarray(picture)).all()
    # One row above and two below, of floor(255 * mean).
    assert (pixels[[0, 6, 7]] == (123, 116, 103)).all()


def test_padding_takes_the_colour_that_the_entry_states_instead() -> None:
    entry = replace(PLAIN, input_size=8, fit="pad", fill=(1.0, 0.0, 0.5))
    assert (_bytes(pixels_from_image(noise(4, 8), entry))[:, 0] == (255, 0, 127)).all()


def test_cropping_keeps_the_middle() -> None:
    picture = noise(12, 8)
    assert (
        _bytes(pixels_from_image(picture, replace(PLAIN, input_size=8, fit="crop"))) == np.asarray(picture)[:, 2:10]
    ).all()


def test_stretching_keeps_everything() -> None:
    picture = noise(12, 8)
    expected = np.asarray(picture.resize((6, 6), Image.Resampling.BICUBIC))
    assert (_bytes(pixels_from_image(picture, replace(PLAIN, input_size=6))) == expected).all()


def test_a_picture_can_be_normalised_by_its_own_statistics() -> None:
    picture = noise(8, 8)
    values = np.asarray(picture, float).transpose(2, 0, 1)
    pixels = pixels_from_image(picture, replace(VIT, input_size=8, normalisation="picture"))
    np.testing.assert_allclose(pixels.numpy(), (values - values.mean()) / values.std(ddof=1), atol=1e-4)
    one_colour = pixels_from_image(Image.new("RGB", (8, 8), (90, 90, 90)), replace(VIT, normalisation="picture"))
    assert torch.isfinite(one_colour).all()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_several_encoders_decode_a_picture_once(format: str) -> None:
    file = io.BytesIO()
    noise(32, 32).save(file, format)
    picture = Image.open(file)
    pixels_from_image(picture, VIT)
    # Whoever decodes again finds nothing.
    file.truncate(0)
    assert pixels_from_image(picture, replace(VIT, input_size=48)).shape == (3, 48, 48)


def _weights_with_aligned_corners(old: int, new: int) -> np.ndarray:
    places = np.arange(new) * (old - 1) / (new - 1)
    low = np.floor(places).astype(int).clip(0, old - 2)
    weights = np.zeros((new, old))
    weights[np.arange(new), low], weights[np.arange(new), low + 1] = 1 - (places - low), places - low
    return weights


def test_encoders_that_share_a_tensor_resize_what_is_normalised_already() -> None:
    picture = noise(12, 8)
    shared = replace(VIT, input_size=16, fit="pad", mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    entry = replace(shared, shared_size=16, input_size=7)
    weights = _weights_with_aligned_corners(16, 7)
    expected = np.einsum("yi,cij,xj->cyx", weights, pixels_from_image(picture, shared).numpy(), weights)
    np.testing.assert_allclose(pixels_from_image(picture, entry).numpy(), expected, atol=1e-5)
    same = replace(entry, input_size=16)
    assert torch.equal(pixels_from_image(picture, same), pixels_from_image(picture, shared))


def test_every_expert_of_eagle_starts_from_the_same_tensor() -> None:
    experts = [entry for entry in CATALOGUE.values() if entry.id.startswith("eagle/")]
    how = {(entry.shared_size, entry.fit, entry.fill, entry.mean, entry.std) for entry in experts}
    assert how == {(1024, "pad", None, CLIP_MEAN, CLIP_STD)}


def test_pix2struct_reads_eagle_s_tensor_as_its_own_processor_prepares_it() -> None:
    entry = CATALOGUE["eagle/pix2struct-l-720"]
    picture = noise(640, 480)
    raw = replace(
        entry, normalisation="dataset", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), fill=CLIP_MEAN, input_size=1024
    )
    processor = transformers.Pix2StructImageProcessor(is_vqa=False, max_patches=2048)
    expected = processor(images=pixels_from_image(picture, raw) * 255, return_tensors="pt")["flattened_patches"]
    given: list[torch.Tensor] = []

    class Recorder(torch.nn.Module):
        def forward(self, flattened_patches: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            given.append(flattened_patches)
            return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=torch.zeros(1, 2025, 8))

    hf.maps(Recorder(), pixels_from_image(picture, entry)[None], entry)
    assert not expected[:, 2025:].any()
    torch.testing.assert_close(given[0], expected[:, :2025], atol=1e-4, rtol=0)


def _written_out(image: Image.Image, entry: EncoderEntry) -> torch.Tensor:
    """What a stretched or padded picture becomes, in the order in which it was always computed, so that no bit may differ."""
    side = entry.shared_size or entry.input_size
    if entry.fit == "pad":
        longest = max(image.size)
        square = Image.new("RGB", (longest, longest), tuple(int(value * 255) for value in entry.fill or entry.mean))
        square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
        image = square
    levels = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels = torch.from_numpy(levels).permute(2, 0, 1) / 255
    if entry.normalisation == "picture":
        pixels = pixels * 255
        scaled = (pixels - pixels.mean()) / pixels.std()
    else:
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (entry.mean, entry.std))
        scaled = (pixels - mean) / std
    if side == entry.input_size:
        return scaled
    size, antialias = (entry.input_size, entry.input_size), entry.shared_interpolation == "bilinear, antialiased"
    aligned = entry.shared_interpolation == "bilinear, corners aligned"
    return functional.interpolate(scaled[None], size, mode="bilinear", align_corners=aligned, antialias=antialias)[0]


@pytest.mark.parametrize("entry", _KINDS.values(), ids=lambda entry: entry.id)
def test_every_entry_s_numbers_are_bit_for_bit_what_they_always_were(entry: EncoderEntry) -> None:
    pictures = [noise(90, 61), noise(37, 80, 1)]
    expected = [_written_out(picture, entry) for picture in pictures]
    assert all(torch.equal(pixels_from_image(one, entry), other) for one, other in zip(pictures, expected, strict=True))


@pytest.mark.parametrize("entry", _KINDS.values(), ids=lambda entry: entry.id)
def test_a_batch_is_normalised_as_its_pictures_are_one_by_one(entry: EncoderEntry) -> None:
    pictures = [noise(90, 61), noise(37, 80, 1), Image.new("RGB", (5, 5), (9, 9, 9))]
    squares = [fitted(pixels_of(picture), fitting_of(entry), resize_exactly) for picture in pictures]
    batch = normalised(torch.from_numpy(np.stack(squares)), entry)
    assert batch.shape == (3, 3, entry.input_size, entry.input_size)
    assert batch.is_contiguous() and batch.dtype == torch.float32
    assert torch.equal(batch, torch.stack([pixels_from_image(picture, entry) for picture in pictures]))
