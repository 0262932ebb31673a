"""Pictures reach the table's encoders as they reach training: the same bytes, the same features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from opabinia.data.arrow import pa
from opabinia.data.pictures import PictureError
from opabinia.encoders.fitting import fitting_of
from opabinia.encoders.loading import load_encoder
from opabinia.encoders.pixel_columns import pixel_tensor, with_pixels
from opabinia.encoders.preprocessing import normalised
from opabinia.features.decoding import open_picture, opened_batches
from opabinia.features.encoder_source import CatalogueSource
from tests.encoders.pictures import file_of, noise, waves

SIZES = ((200, 150), (90, 160), (64, 64), (300, 20), (31, 33))


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """JPEG files of every shape, and one of the size that the encoders take."""
    for number, size in enumerate(SIZES):
        (tmp_path / f"{number}.jpg").write_bytes(file_of(waves(*size), "JPEG"))
    return [str(tmp_path / f"{number}.jpg") for number in range(len(SIZES))]


@pytest.mark.parametrize("name", ["burgess/caption-vit", "burgess/mim-vit"])
def test_the_table_holds_what_training_would_compute_itself(name: str, paths: list[str]) -> None:
    encoder, encode = load_encoder(name), CatalogueSource(threads=2).load(name)
    fitting = fitting_of(encoder.entry)
    (images,) = opened_batches(paths, len(paths), threads=2)
    table = with_pixels(pa.table({"images": [[path] for path in paths]}), [fitting])
    squares = pixel_tensor(table[fitting.name], fitting)
    assert torch.equal(encode(images), encoder(normalised(squares, encoder.entry)))


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_batches_keep_their_order_and_the_places_of_deleted_rows(batch: int, paths: list[str]) -> None:
    wanted = [paths[1], "", paths[0], "", paths[4]]
    batches = list(opened_batches(wanted, batch, threads=3))
    assert [len(opened) for opened in batches[:-1]] == [batch] * (len(batches) - 1)
    sizes = [image.size if image else None for opened in batches for image in opened]
    assert sizes == [SIZES[1], None, SIZES[0], None, SIZES[4]]


def test_reduced_is_as_the_stream_reduces(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(file_of(noise(2050, 2048), "JPEG"))
    assert open_picture(str(path), "reduced").size == (1025, 1024)
    assert np.asarray(open_picture(str(path))).shape == (2048, 2050, 3)


@pytest.mark.parametrize("path", ["missing.jpg", "\0", "broken.jpg"])
def test_what_cannot_be_read_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(file_of(waves(20, 20), "JPEG")[:-200])
    with pytest.raises(PictureError, match=r"^picture .+ cannot be read: .+$"):
        open_picture(str(tmp_path / path))
