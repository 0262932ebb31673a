"""Small encoders with known answers, pictures to encode, and a table of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.data.pictures import picture_key
from tests.data.specimens import save_picture


def save_pictures(folder: Path, count: int, first: int = 0) -> dict[str, str]:
    """`count` distinct pictures, by key."""
    paths = [save_picture(folder / f"{index}.png", shade=index) for index in range(first, first + count)]
    return {picture_key(path): str(path) for path in paths}


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, str]:
    return save_pictures(tmp_path / "pictures", 30)
