"""A picture's file becomes bytes for every encoder: whatever its format, decoded once, the same in whichever company."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from opabinia.data.pictures import PictureError
from opabinia.encoders import pixels
from opabinia.encoders.catalogue import CATALOGUE
from opabinia.encoders.fitting import Fitting, fitting_of
from opabinia.encoders.pixels import check_decoding, open_picture, pixels_of, read_pixels
from tests.encoders.pictures import file_of, noise, waves

SMALL, PADDED, CROPPED = Fitting(24, "stretch"), Fitting(32, "pad", (1, 2, 3)), Fitting(16, "crop")

ENOUGH = 64


@pytest.fixture(autouse=True)
def little_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small pictures are large ones."""
    monkeypatch.setattr(pixels, "ENOUGH", ENOUGH)


def decoded(content: bytes) -> np.ndarray:
    return pixels_of(open_picture(content)).astype(int)


def png_of_16_bits(levels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write; levels: [height, width, 3]."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_every_fitting_gets_a_square_of_contiguous_bytes() -> None:
    squares = read_pixels(file_of(noise(40, 30), "PNG"), [SMALL, PADDED, CROPPED])
    assert [square.shape for square in squares] == [(24, 24, 3), (32, 32, 3), (16, 16, 3)]
    assert all(square.dtype == np.uint8 and square.flags.c_contiguous and square.flags.writeable for square in squares)
    # 40 x 30 in 32 x 32: rows 0 to 3 and 28 to 31 lie in the colour alone, bar what the filter reaches across.
    assert (squares[1][:2] == (1, 2, 3)).all() and (squares[1][-2:] == (1, 2, 3)).all()


@pytest.mark.parametrize("decoding", ["full", "reduced"])
def test_an_encoder_sees_the_same_in_any_company(decoding: str) -> None:
    content = file_of(waves(2 * ENOUGH, 2 * ENOUGH), "JPEG")
    together = read_pixels(content, [SMALL, PADDED, CROPPED], decoding)
    alone = [read_pixels(content, [fitting], decoding)[0] for fitting in (SMALL, PADDED, CROPPED)]
    assert all((one == other).all() for one, other in zip(together, alone, strict=True))


def test_several_fittings_decode_a_picture_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, really_open = list[Image.Image](), Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(really_open(file)) or opened[-1])
    read_pixels(file_of(noise(40, 30), "JPEG"), [SMALL, PADDED, CROPPED])
    assert len(opened) == 1


def test_a_picture_of_the_fitting_s_size_is_left_as_it_is() -> None:
    picture = noise(24, 24)
    assert (read_pixels(file_of(picture, "PNG"), [SMALL])[0] == np.asarray(picture)).all()


def test_transparency_is_dropped_and_not_laid_on_a_colour() -> None:
    levels = np.asarray(noise(9, 7))
    alpha = np.random.default_rng(1).integers(0, 256, (7, 9, 1), np.uint8)
    assert (decoded(file_of(Image.fromarray(np.concatenate([levels, alpha], axis=-1)), "PNG")) == levels).all()


def test_grey_is_the_same_in_every_channel() -> None:
    levels = np.asarray(noise(9, 7))[..., 0]
    assert (decoded(file_of(Image.fromarray(levels), "PNG")) == levels[..., None]).all()


def test_a_palette_s_colours_are_looked_up() -> None:
    indices = np.random.default_rng(2).integers(0, 4, (7, 9), np.uint8)
    colours = np.array([(0, 0, 0), (255, 0, 9), (3, 200, 77), (250, 251, 252)], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    assert image.mode == "P"
    assert (decoded(file_of(image, "PNG")) == colours[indices]).all()


def test_print_colours_become_what_is_left_of_white() -> None:
    inks = np.random.default_rng(3).integers(0, 256, (7, 9, 4), np.uint8)
    left = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    for format, allowed in (("TIFF", 1), ("JPEG", 20)):
        image = Image.frombytes("CMYK", (9, 7), inks.tobytes())
        options = {"quality": 100} if format == "JPEG" else {}
        assert np.abs(decoded(file_of(image, format, **options)) - left).max() <= allowed


def test_of_16_bits_a_channel_the_upper_8_are_kept() -> None:
    levels = np.random.default_rng(4).integers(0, 1 << 16, (7, 9, 3), np.uint16)
    assert (decoded(png_of_16_bits(levels)) == levels >> 8).all()


def test_16_bits_of_grey_are_cut_off_at_255_as_pillow_has_it() -> None:
    levels = np.array([[0, 7, 255, 256, 65535]], np.uint16)
    assert (decoded(file_of(Image.fromarray(levels), "PNG"))[0, :, 0] == (0, 7, 255, 255, 255)).all()


def test_a_picture_is_not_turned_as_its_file_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = file_of(waves(40, 20), "JPEG", exif=exif)
    assert Image.open(io.BytesIO(turned)).getexif()[0x0112] == 6
    assert (decoded(turned) == decoded(file_of(waves(40, 20), "JPEG"))).all()


@pytest.mark.parametrize("size", [(2 * ENOUGH, 2 * ENOUGH + 2), (4 * ENOUGH, 2 * ENOUGH)])
def test_reduced_is_half_a_side_where_that_is_enough(size: tuple[int, int]) -> None:
    content = file_of(waves(*size), "JPEG", quality=90)
    reduced = open_picture(content, "reduced")
    assert reduced.size == (-(-size[0] // 2), -(-size[1] // 2))
    full, half = (read_pixels(content, [Fitting(16, "stretch")], how)[0].astype(int) for how in ("full", "reduced"))
    assert np.abs(full - half).mean() < 1


def test_reduced_is_full_where_less_would_not_be_enough_or_the_format_knows_no_less() -> None:
    jpeg, png = file_of(waves(200, 2 * ENOUGH - 1), "JPEG"), file_of(waves(2 * ENOUGH, 2 * ENOUGH), "PNG")
    for content in (jpeg, png):
        assert (pixels_of(open_picture(content, "reduced")) == pixels_of(open_picture(content))).all()


def test_reduced_never_leaves_an_encoder_fewer_pixels_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    check_decoding("reduced", map(fitting_of, CATALOGUE.values()))
    larger = Fitting(1025, "stretch")
    check_decoding("full", [larger])
    with pytest.raises(
        ValueError, match=r"^decoding: reduced keeps 1024 pixels a side, and an encoder takes 1025; use full$"
    ):
        check_decoding("reduced", [SMALL, larger])


@pytest.mark.parametrize("decoding", ["full", "reduced"])
def test_a_picture_that_ends_early_is_an_error_not_a_grey_half(decoding: str) -> None:
    content = file_of(waves(2 * ENOUGH, 2 * ENOUGH), "JPEG")
    with pytest.raises(PictureError, match="truncated"):
        read_pixels(content[: len(content) // 2], [SMALL], decoding)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_said_in_one_line(content: bytes) -> None:
    with pytest.raises(PictureError) as raised:
        read_pixels(content, [SMALL])
    assert len(str(raised.value).splitlines()) == 1
