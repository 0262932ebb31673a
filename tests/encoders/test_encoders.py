"""The shipped encoders are what the catalogue says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from opabinia.encoders.catalogue import CATALOGUE, EncoderEntry, find_encoder
from opabinia.encoders.digest import weights_digest
from opabinia.encoders.loading import load_encoder
from opabinia.encoders.preprocessing import pixels_from_image
from opabinia.storage.packaged import weights_location

ENTRIES = [entry for entry in CATALOGUE.values() if entry.id.startswith("burgess/")]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_encoder_gives_the_grid_width_and_parameters_it_states(entry: EncoderEntry) -> None:
    encoder = load_encoder(entry.id)
    picture = Image.effect_noise((96, 96), 60).convert("RGB")
    features = encoder(pixels_from_image(picture, entry)[None])
    assert features.shape == (1, entry.grid**2, entry.width)
    assert features.std() > 0.01
    unused = ("pooler.", "mask_token")
    parameters = [(name, p) for name, p in encoder.backbone.named_parameters() if not any(u in name for u in unused)]
    assert sum(parameter.numel() for _, parameter in parameters) == entry.parameters
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_they_differ_in_supervision_architecture_and_grid() -> None:
    assert len({entry.family for entry in ENTRIES}) == 3
    assert {entry.architecture for entry in ENTRIES} == {"ViT", "ConvNeXt"}
    assert len({entry.grid for entry in ENTRIES}) == 3


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_weights_ship_as_safetensors_of_two_to_four_megabytes(entry: EncoderEntry) -> None:
    folder = Path(weights_location(entry.weights))
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}
    assert 2e6 < sum(path.stat().st_size for path in folder.iterdir()) < 4e6


def test_the_digest_follows_the_entry() -> None:
    entry = ENTRIES[0]
    assert weights_digest(entry) == weights_digest(replace(entry))
    assert weights_digest(entry) != weights_digest(replace(entry, layer=-2))


def test_an_unknown_encoder_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"encoders\.0: unknown vision encoder 'burgess/captionvit'; did you mean"):
        find_encoder("burgess/captionvit", "encoders.0")


def test_preprocessing_resizes_and_normalises() -> None:
    entry = replace(ENTRIES[0], input_size=4, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    colours = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    pixels = pixels_from_image(Image.fromarray(colours), entry)
    expected = (colours / 255 - np.array(entry.mean)) / np.array(entry.std)
    np.testing.assert_allclose(pixels.permute(1, 2, 0).numpy(), expected, atol=1e-6)


def test_a_wrong_catalogue_grid_is_refused() -> None:
    encoder = load_encoder(ENTRIES[0].id)
    encoder.entry = replace(encoder.entry, grid=7)
    with pytest.raises(ValueError, match="correct grid and width in the catalogue"):
        encoder(torch.zeros(1, 3, encoder.entry.input_size, encoder.entry.input_size))
