from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from opabinia.data.pictures import PictureError, check_picture, picture_key
from tests.data.specimens import save_picture


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
def test_a_sound_picture_is_named_by_its_bytes(tmp_path: Path, suffix: str) -> None:
    path = save_picture(tmp_path / f"a.{suffix}")
    assert picture_key(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_missing_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"^is missing$"):
        picture_key(tmp_path / "a.jpg")


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        picture_key(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_picture_is_found_even_near_its_end(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((64, 64), 80).convert("RGB").save(path)
    content = path.read_bytes()
    with pytest.raises(PictureError, match="cannot be decoded"):
        check_picture(content[: int(len(content) * kept)])


def test_text_and_nothing_are_not_images() -> None:
    for content in (b"", b"hello", b"<html>404</html>"):
        with pytest.raises(PictureError, match=r"^is not an image$"):
            check_picture(content)


def test_a_picture_made_to_exhaust_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_picture(tmp_path / "a.png", size=64)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)
    with pytest.raises(PictureError, match=r"cannot be decoded: .*decompression bomb"):
        picture_key(path)
