"""A step runs again only when something that decides its outcome has changed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from opabinia.data.steps import run_step, sole_writer, step_folder
from tests.storage.limits import as_nobody, files_of_at_most


class Counting:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "out.txt").write_text(f"made {self.times} times")


def test_the_same_recipe_is_made_once_and_another_anew(tmp_path: Path) -> None:
    make = Counting()
    first = run_step(tmp_path, "curate", {"limit": 3, "version": 1}, make)
    again = run_step(tmp_path, "curate", {"version": 1, "limit": 3}, make)
    other = run_step(tmp_path, "curate", {"limit": 4, "version": 1}, make)
    assert first == again != other
    assert make.times == 2
    assert (first / "out.txt").read_text() == "made 1 times"
    assert first.name.startswith("curate-")


def test_a_step_that_breaks_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        run_step(tmp_path, "shard", {}, breaks)
    assert list(tmp_path.iterdir()) == []
    assert (run_step(tmp_path, "shard", {}, Counting()) / "out.txt").is_file()


def test_a_folder_says_what_it_was_made_from(tmp_path: Path) -> None:
    folder = run_step(tmp_path, "shard", {"inputs": ["abc"]}, Counting())
    assert '"abc"' in (folder / "step.json").read_text()


def test_where_a_step_will_write_is_known_before(tmp_path: Path) -> None:
    assert run_step(tmp_path, "curate", {"limit": 3}, Counting()) == step_folder(tmp_path, "curate", {"limit": 3})


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    def writes_much(folder: Path) -> None:
        (folder / "much.bin").write_bytes(bytes(100_000))

    with (
        files_of_at_most(50_000),
        pytest.raises(ValueError, match=r"shard-\w+: the disk is full .*; free space and run again"),
    ):
        run_step(tmp_path, "shard", {}, writes_much)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_to_is_one_line() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(ValueError, match=r"access is denied .*; give this user the right to write"):
            run_step(folder, "shard", {}, Counting())
        with (
            as_nobody(),
            pytest.raises(ValueError, match="give this user the right to write"),
            sole_writer(folder / "a"),
        ):
            pass
        assert list(folder.iterdir()) == []


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with sole_writer(tmp_path), pytest.raises(ValueError, match="prepared by another process"), sole_writer(tmp_path):
        pass
    with sole_writer(tmp_path):
        pass


def test_what_a_killed_writer_left_unfinished_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".read-12.partial" / "data").mkdir(parents=True)
    (tmp_path / "read-12").mkdir()
    with sole_writer(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "read-12"]
