"""The manifest vouches for every file, and for itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.training.checkpointing.manifest import (
    MANIFEST,
    Manifest,
    entry_of,
    now,
    read_entry,
    read_manifest,
    versions,
    write_manifest,
)


def manifest(**changes: Any) -> Manifest:
    fields = {"step": 3, "saved_at": now(), "workers": 2, "versions": versions(), "frozen": {"encoder": "ab"}}
    facts = {"data": {"epoch": 1, "rate": 0.1 + 0.2, "names": ["ü", None]}}
    return Manifest(**{**fields, "facts": facts, "files": {"a": entry_of(b"abc")}, **changes})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = manifest()
    write_manifest(str(tmp_path), written)
    assert read_manifest(str(tmp_path)) == written
    assert "torch" in written.versions


def test_any_changed_character_is_noticed(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), manifest())
    path = tmp_path / MANIFEST
    content = path.read_bytes()
    unnoticed: list[int] = []
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :])
        try:
            if read_manifest(str(tmp_path)) != manifest(saved_at=json.loads(content)["saved_at"]):
                unnoticed.append(place)
        except ValueError as error:
            assert str(error).startswith(str(path))
    assert unnoticed == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"sha256": "x"}', b'"text"', b"\xff"])
def test_what_is_no_manifest_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(
        ValueError, match=r"manifest.json: it is damaged; remove \S+ to go on from the checkpoint before"
    ):
        read_manifest(str(tmp_path))


def test_another_format_is_refused(tmp_path: Path) -> None:
    write_manifest(str(tmp_path), manifest(format=2))
    with pytest.raises(ValueError, match=r"manifest.json: format 2 is not 1; use the version that wrote it"):
        read_manifest(str(tmp_path))


def test_a_small_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_entry(str(tmp_path), "a", entry_of(b"abc")) == b"abc"
    with pytest.raises(ValueError, match=r"/a: damaged: its SHA-256 is not that"):
        read_entry(str(tmp_path), "a", entry_of(b"abd"))
    with pytest.raises(ValueError, match=r"/a: damaged: it has 3 bytes instead of 4"):
        read_entry(str(tmp_path), "a", entry_of(b"abcd"))
