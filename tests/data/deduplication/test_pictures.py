"""Difference hashes: what they are, and that copies of a picture stay near it while other pictures do not."""

from __future__ import annotations

import hashlib
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opabinia.data.deduplication.pictures import difference_hash, gather_hashes, hash_pictures
from tests.data.deduplication.photographs import photographs, save


def bits_between(one: Image.Image, other: Image.Image) -> int:
    return (difference_hash(one) ^ difference_hash(other)).bit_count()


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    held = BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held)


def test_each_bit_says_whether_it_is_brighter_to_the_right() -> None:
    # Of the very size that is compared, so that nothing is resampled.
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9), dtype=np.uint8)
    expected = "".join("1" if pixels[y, x + 1] > pixels[y, x] else "0" for y in range(8) for x in range(8))
    assert f"{difference_hash(Image.fromarray(pixels)):064b}" == expected


def test_a_plain_picture_is_all_zeros_and_a_ramp_all_ones() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 180, 2, dtype=np.uint8), (80, 1)))
    assert difference_hash(Image.new("RGB", (50, 40), "red")) == 0
    assert difference_hash(ramp) == 2**64 - 1


@pytest.mark.parametrize("quality", [90, 75])
def test_recompression_changes_two_bits_at_most(quality: int) -> None:
    assert max(bits_between(image, recompressed(image, quality)) for image in photographs()) <= 2


@pytest.mark.parametrize("side", [64, 100, 400])
def test_rescaling_changes_two_bits_at_most(side: int) -> None:
    assert max(bits_between(image, image.resize((side, side))) for image in photographs()) <= 2


def test_different_pictures_are_far_apart() -> None:
    assert min(bits_between(one, other) for one, other in combinations(photographs(), 2)) >= 10


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_pictures_of_every_kind_have_a_hash(mode: str) -> None:
    image = (
        photographs()[0].convert("L").convert("I").convert(mode) if mode == "I;16" else photographs()[0].convert(mode)
    )
    assert 0 <= difference_hash(image) < 2**64


def test_files_are_hashed_in_order_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    image = photographs()[3]
    names = [save(image, tmp_path / "a.png"), "gone.png", "half.jpg", "text.png", save(image, tmp_path / "b.jpg")]
    (tmp_path / "half.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:2000])
    (tmp_path / "text.png").write_text("no picture")
    found = gather_hashes(hash_pictures(names, tmp_path, workers=2))
    assert found.paths == ("a.png", "b.jpg")
    assert found.places.tolist() == [0, 4]
    assert found.differences[0] == difference_hash(image)
    assert found.contents[0].tobytes() == hashlib.sha256((tmp_path / "a.png").read_bytes()).digest()
    assert list(found.problems) == ["gone.png", "half.jpg", "text.png"]
    assert found.problems["gone.png"] == "is missing"


def test_more_files_than_are_under_way_at_once_stay_in_order(tmp_path: Path) -> None:
    for number in range(4):
        save(photographs()[number], tmp_path / f"{number}.png")
    names = [f"{number % 4}.png" for number in range(600)]
    found = gather_hashes(hash_pictures(names, tmp_path, workers=3))
    assert found.paths == tuple(names)
    assert found.differences.tolist() == [difference_hash(photographs()[number % 4]) for number in range(600)]
