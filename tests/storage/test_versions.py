"""Versions change when files do, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opabinia.storage.versions import file_version, folder_version
from tests.storage.conftest import Bucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files" / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "deep/a.jpg"):
        file = tmp_path / "files" / name
        file.write_bytes(name.encode())
        os.utime(file, ns=(0, 10**9))
    return tmp_path / "files"


def test_a_file_that_is_written_again_has_another_version(folder: Path) -> None:
    before = file_version(folder / "a.jpg")
    assert file_version(str(folder / "a.jpg")) == before
    (folder / "a.jpg").write_bytes(b"A.JPG")
    assert file_version(folder / "a.jpg") != before


def test_a_file_that_is_not_there_has_none(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"c\.jpg: there is no such file"):
        file_version(folder / "c.jpg")


@pytest.mark.parametrize("change", ["add", "remove", "rename", "swap", "grow", "touch"])
def test_whatever_changes_below_a_folder_changes_its_version(folder: Path, change: str) -> None:
    before = folder_version(folder)
    if change == "add":
        (folder / "deep" / "new.jpg").touch()
    elif change == "remove":
        (folder / "b.jpg").unlink()
    elif change == "rename":
        (folder / "b.jpg").rename(folder / "deep" / "b.jpg")
    elif change == "swap":
        (folder / "deep" / "a.jpg").rename(folder / "c.jpg")
        (folder / "a.jpg").rename(folder / "deep" / "a.jpg")
        (folder / "c.jpg").rename(folder / "a.jpg")
    elif change == "grow":
        with (folder / "a.jpg").open("ab") as handle:
            handle.write(b"more")
        os.utime(folder / "a.jpg", ns=(0, 10**9))
    else:
        os.utime(folder / "a.jpg", ns=(0, 10**9 + 1))
    assert folder_version(folder) != before


def test_a_folder_is_the_same_wherever_it_stands_and_by_whatever_address(folder: Path) -> None:
    before = folder_version(folder)
    assert folder_version(f"{folder}/") == before
    moved = folder.rename(folder.with_name("moved"))
    assert folder_version(moved) == before


def test_links_are_followed_and_may_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    (folder / "gone.jpg").symlink_to(tmp_path / "later.jpg")
    before = folder_version(folder)
    (tmp_path / "later.jpg").write_bytes(b"here")
    assert folder_version(folder) != before


def test_no_folder_and_an_empty_one_have_the_version_of_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert folder_version(tmp_path / "empty") == folder_version(tmp_path / "absent") == "0" * 16


@pytest.mark.e2e
def test_objects_in_a_bucket_have_versions_too(bucket: Bucket) -> None:
    for name in ("in/a.jpg", "in/deep/b.jpg", "index/c.jpg"):
        bucket.put(name, name.encode())
    one, all_of_them = file_version(bucket.address("in/a.jpg")), folder_version(bucket.address("in"))
    assert folder_version(bucket.address("in/")) == all_of_them
    bucket.put("index/c.jpg", b"outside of the folder")
    assert folder_version(bucket.address("in")) == all_of_them
    bucket.put("in/a.jpg", b"IN/A.JPG")
    assert file_version(bucket.address("in/a.jpg")) != one
    assert folder_version(bucket.address("in")) != all_of_them
    bucket.put("in/empty.jpg", b"")
    assert file_version(bucket.address("in/empty.jpg")).startswith("0-")
    with pytest.raises(ValueError, match="there is no such object"):
        file_version(bucket.address("in/absent.jpg"))
