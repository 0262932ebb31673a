"""Pictures arrive as data: URIs; whatever is wrong with one is said before it costs anything."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opabinia.serving.config import ServingConfig
from opabinia.serving.errors import ApiError
from opabinia.serving.images import decode_image
from tests.serving.pictures import RED, data_uri, picture_bytes

CONFIG = ServingConfig(max_image_bytes=20_000, max_image_pixels=10_000)


def decode(url: str) -> Image.Image:
    return decode_image(url, CONFIG, param="messages[0].content[0].image_url.url")


def refusal(url: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        decode(url)
    assert caught.value.status == 400
    assert caught.value.param == "messages[0].content[0].image_url.url"
    return caught.value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_openai_formats_become_rgb_pictures(kind: str) -> None:
    picture = decode(data_uri(picture_bytes(kind=kind), f"image/{kind.lower()}"))
    assert (picture.mode, picture.size) == ("RGB", (40, 30))
    assert all(abs(got - want) < 8 for got, want in zip(picture.getpixel((5, 5)), RED, strict=True))


def test_the_bytes_decide_the_format_and_parameters_are_tolerated() -> None:
    uri = f"DATA:image/png;charset=utf-8;BASE64,{base64.b64encode(picture_bytes(kind='JPEG')).decode()}"
    assert decode(uri).size == (40, 30)


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    handle = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), RED).save(handle, "JPEG", exif=exif)
    assert decode(data_uri(handle.getvalue(), "image/jpeg")).size == (30, 40)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    handle = io.BytesIO()
    Image.new(mode, (8, 8)).save(handle, "PNG")
    assert decode(data_uri(handle.getvalue())).mode == "RGB"


@pytest.mark.parametrize(
    "url",
    ["https://example.com/cat.png", "http://127.0.0.1:8265/", "file:///etc/passwd", "cat.png", "", "gs://b/c.png"],
)
def test_nothing_is_fetched_for_a_client(url: str) -> None:
    error = refusal(url)
    assert error.code == "invalid_image_url"
    assert "not fetched" in error.message


@pytest.mark.parametrize("url", ["data:image/png,abc", "data:image/png;base64", "data:;;base64,abcd"])
def test_a_malformed_data_uri_is_shown_the_right_form(url: str) -> None:
    error = refusal(url)
    assert error.code == "invalid_image_url"
    assert "data:image/png;base64,…" in error.message


@pytest.mark.parametrize("media", ["image/svg+xml", "text/html", "application/pdf", "image/tiff"])
def test_other_media_types_are_refused(media: str) -> None:
    error = refusal(data_uri(picture_bytes(), media))
    assert error.code == "unsupported_image_media_type"
    assert media in error.message


def test_a_format_that_only_claims_to_be_png_is_refused() -> None:
    assert refusal(data_uri(picture_bytes(kind="TIFF"))).code == "invalid_image_format"
    assert refusal(data_uri(b"<svg onload=alert(1)>")).code == "invalid_image_format"


def test_broken_base64_is_refused() -> None:
    whole = data_uri(picture_bytes())
    assert refusal(whole + "!").code == "invalid_base64_image"
    assert refusal(whole[:-1]).code == "invalid_base64_image"
    assert refusal("data:image/png;base64,ÄÖ==").code == "invalid_base64_image"
    assert refusal("data:image/png;base64,").code == "empty_image_file"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    handle = io.BytesIO()
    Image.effect_noise((60, 60), 80).save(handle, kind)
    assert refusal(data_uri(handle.getvalue()[:-600])).code == "image_parse_error"


def test_a_file_above_the_limit_is_refused_and_one_at_the_limit_is_not() -> None:
    data = picture_bytes()
    padded = data + bytes(CONFIG.max_image_bytes - len(data))
    assert decode(data_uri(padded)).size == (40, 30)
    assert refusal(data_uri(padded + b"\0")).code == "image_file_too_large"
    assert refusal(data_uri(padded * 10)).code == "image_file_too_large"


def test_a_picture_above_the_pixel_limit_is_refused_before_it_is_decoded() -> None:
    assert decode(data_uri(picture_bytes((100, 100)))).size == (100, 100)
    assert refusal(data_uri(picture_bytes((101, 100)))).code == "image_too_large"


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_decompression_bomb_costs_nothing(side: int) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99_999)))
    assert refusal(data_uri(bomb)).code == "image_too_large"


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]), at=st.integers(0, 200))
def test_damaged_bytes_give_a_picture_or_an_error_and_nothing_else(data: bytes, kind: str, at: int) -> None:
    whole = picture_bytes((9, 7), kind=kind)
    try:
        assert decode(data_uri(whole[:at] + data + whole[at:])).mode == "RGB"
    except ApiError as error:
        assert error.status == 400
