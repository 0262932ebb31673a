from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.tracking.digest import folder_digest


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_folders_with_the_same_files_have_the_same_digest(tmp_path: Path) -> None:
    one = write(tmp_path / "one", config="{}", sub__weights="abc")
    other = write(tmp_path / "other", sub__weights="abc", config="{}")
    assert folder_digest(one) == folder_digest(other)
    assert len(folder_digest(one)) == 64


def test_a_changed_byte_a_new_name_or_a_moved_file_changes_the_digest(tmp_path: Path) -> None:
    digests = {
        folder_digest(write(tmp_path / "a", config="{}", weights="abc")),
        folder_digest(write(tmp_path / "b", config="{}", weights="abd")),
        folder_digest(write(tmp_path / "c", config="{}", weight="abc")),
        folder_digest(write(tmp_path / "d", config="{}", sub__weights="abc")),
        folder_digest(write(tmp_path / "e", config="{}weights", weights="abc")),
    }
    assert len(digests) == 5


def test_an_empty_or_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no files"):
        folder_digest(tmp_path)
    with pytest.raises(ValueError, match="no files"):
        folder_digest(tmp_path / "missing")
