"""A step runs again only when something that decides its outcome has changed."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.steps import fingerprint, run_step


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


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.binary(max_size=20), max_size=4))
def test_fingerprints_agree_where_the_contents_do(one: list[bytes], other: list[bytes]) -> None:
    assert (fingerprint(map(BytesIO, one)) == fingerprint(map(BytesIO, other))) == (one == other)
