"""Which folders are checkpoints: those with a manifest, and no others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opabinia.training.checkpointing.layout import (
    check_address,
    latest_checkpoint,
    list_checkpoints,
    list_incomplete,
    new_folder,
)
from opabinia.training.checkpointing.manifest import MANIFEST, Manifest, write_manifest
from opabinia.training.checkpointing.removing import remove_folder, remove_incomplete, remove_superseded
from tests.storage.limits import as_nobody


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that nobody can reach too, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def complete(address: Path, step: int, permanent: bool = False) -> str:
    folder = incomplete(address, step, permanent)
    finish(folder, step)
    return folder


def finish(folder: str, step: int, saved_at: str = "2026-01-01T00:00:00+00:00") -> None:
    manifest = Manifest(step=step, saved_at=saved_at, workers=1, versions={}, frozen={}, facts={}, files={})
    write_manifest(folder, manifest)


def incomplete(address: Path, step: int, permanent: bool = False) -> str:
    folder = Path(new_folder(address, step, permanent))
    folder.mkdir(parents=True)
    (folder / "worker-00000-0000.safetensors").write_bytes(b"half")
    return str(folder)


def test_the_latest_is_the_complete_one_of_the_highest_step(tmp_path: Path) -> None:
    complete(tmp_path, 9)
    expected = complete(tmp_path, 100_000_000)
    complete(tmp_path, 99_999_999)
    incomplete(tmp_path, 100_000_001)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert (found.address, found.step, found.permanent) == (expected, 100_000_000, False)
    assert [checkpoint.step for checkpoint in list_checkpoints(tmp_path)] == [9, 99_999_999, 100_000_000]


@pytest.mark.parametrize("days", [(1, 2, 3), (2, 3, 1), (3, 1, 2)])
def test_of_one_step_the_one_written_last(tmp_path: Path, days: tuple[int, ...]) -> None:
    folders = sorted(incomplete(tmp_path, 5) for _ in days)
    for folder, day in zip(folders, days, strict=True):
        finish(folder, 5, saved_at=f"2026-01-0{day}T00:00:00+00:00")
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.address == folders[days.index(3)]


def test_where_nothing_is_there_is_none(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "nowhere") is None
    assert latest_checkpoint(tmp_path) is None
    incomplete(tmp_path, 1)
    assert latest_checkpoint(tmp_path) is None


def test_what_others_put_there_is_left_alone(tmp_path: Path) -> None:
    for name in ("step-1", "notes", "step-00000001-temporary-xyz", "step-00000001-temporary-0123456789"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text("{}")
    (tmp_path / "step-00000001-temporary-01234567").write_text("a file")
    assert list_checkpoints(tmp_path) == []
    assert list_incomplete(tmp_path) == []


def test_incomplete_ones_are_removed_with_all_that_is_in_them(tmp_path: Path) -> None:
    kept = complete(tmp_path, 1)
    left = Path(incomplete(tmp_path, 2))
    (left / ".worker-00000-0001.safetensors.0123.partial").write_bytes(b"x")
    Path(new_folder(tmp_path, 3, True)).mkdir()
    remove_incomplete(tmp_path)
    assert [str(path) for path in tmp_path.iterdir()] == [kept]


def test_a_later_one_replaces_the_temporary_ones_before_it(tmp_path: Path) -> None:
    kept = [complete(tmp_path, 1, permanent=True), complete(tmp_path, 3), complete(tmp_path, 4)]
    complete(tmp_path, 2)
    complete(tmp_path, 3)
    by = next(checkpoint for checkpoint in list_checkpoints(tmp_path) if checkpoint.address == kept[1])
    remove_superseded(tmp_path, by)
    assert sorted(map(str, tmp_path.iterdir())) == sorted(kept)


def test_removing_begins_with_what_makes_it_a_checkpoint(public: Path) -> None:
    folder = Path(complete(public, 1))
    (folder / "locked").mkdir()
    (folder / "locked" / "file").touch()
    os.chmod(folder, 0o777)
    os.chmod(folder / "locked", 0o555)
    with as_nobody(), pytest.raises(ValueError, match=r"cannot be removed \(Permission denied: file\)"):
        remove_folder(str(folder))
    assert latest_checkpoint(public) is None
    assert list_incomplete(public) == [str(folder)]
    os.chmod(folder / "locked", 0o777)


def test_a_folder_that_may_not_be_listed_is_an_error(public: Path) -> None:
    (public / "runs").mkdir(mode=0)
    with as_nobody(), pytest.raises(ValueError, match="access is denied"):
        list_checkpoints(public / "runs")


def test_addresses_by_which_nothing_is_found_again_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"s3://b/run-\[1\]: holds one of"):
        check_address("s3://b/run-[1]")
    with pytest.raises(ValueError, match="is not known"):
        check_address("hf://b/run")
    assert check_address(tmp_path / "run-[1]") == str(tmp_path / "run-[1]")
