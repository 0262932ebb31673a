"""Files and folders appear whole or not at all, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.storage.atomic import whole_file, whole_folder, whole_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@settings(deadline=None)
@given(content=st.binary(max_size=1000))
def test_a_file_holds_exactly_what_was_written(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("files")
    with whole_file(folder / "a.bin") as handle:
        handle.write(content)
        assert names(folder) != ["a.bin"]
    assert (folder / "a.bin").read_bytes() == content
    assert names(folder) == ["a.bin"]


def test_parents_are_made(tmp_path: Path) -> None:
    with whole_text(tmp_path / "b" / "c" / "a.txt") as handle:
        print("Grüße", file=handle)
    assert (tmp_path / "b" / "c" / "a.txt").read_bytes() == "Grüße\n".encode()


def test_an_error_leaves_the_former_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a") as handle:
        handle.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_file_gets_the_permissions_of_an_ordinary_one(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "whole"):
        pass
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_appears_with_everything_in_it(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "f") as unfinished:
        (unfinished / "deep").mkdir()
        (unfinished / "deep" / "a").write_text("1")
        assert not (tmp_path / "f").exists()
    assert (tmp_path / "f" / "deep" / "a").read_text() == "1"
    assert names(tmp_path) == ["f"]


def test_an_error_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "f") as unfinished:
        (unfinished / "a").write_text("1")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_a_folder_never_replaces_what_is_there(tmp_path: Path, make: object) -> None:
    make(tmp_path / "f")  # type: ignore[operator]
    with pytest.raises(ValueError, match="f: exists already; remove it"), whole_folder(tmp_path / "f"):
        raise AssertionError("not reached")
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_folder_made_by_someone_else_in_the_meantime_stays(tmp_path: Path, make: object) -> None:
    with pytest.raises(ValueError, match="f: exists already"), whole_folder(tmp_path / "f") as unfinished:
        (unfinished / "a").touch()
        make(tmp_path / "f")  # type: ignore[operator]
    assert names(tmp_path) == ["f"]


KILLED = """
import os, signal, sys
from opabinia.storage.atomic import whole_file, whole_folder
with whole_folder(sys.argv[1] + "/f") as folder, whole_file(sys.argv[1] + "/g") as handle:
    (folder / "a").write_text("half")
    handle.write(b"half")
    handle.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_nothing_under_the_final_name_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    assert not {"f", "g"} & set(names(tmp_path))
    assert len(names(tmp_path)) == 2
    with whole_folder(tmp_path / "f") as folder, whole_file(tmp_path / "g") as handle:
        (folder / "a").write_text("whole")
        handle.write(b"whole")
    assert names(tmp_path) == ["f", "g"]
    assert (tmp_path / "f" / "a").read_text() == (tmp_path / "g").read_text() == "whole"


def test_two_writers_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as first:
        first.write(b"first")
        with whole_file(tmp_path / "a") as second:
            second.write(b"second")
        assert (tmp_path / "a").read_bytes() == b"second"
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


def test_cleaning_up_touches_no_file_of_another_name(tmp_path: Path) -> None:
    others = [".a.b.partial", ".b." + "0" * 32 + ".partial", "a.partial", ".a." + "0" * 31 + ".partial"]
    for other in others:
        (tmp_path / other).touch()
    with whole_file(tmp_path / "a"):
        pass
    assert names(tmp_path) == sorted(["a", *others])


def test_names_with_wildcards_are_plain_names(tmp_path: Path) -> None:
    (tmp_path / (".xyz." + "0" * 32 + ".partial")).touch()
    with whole_file(tmp_path / "x*z"):
        pass
    assert len(names(tmp_path)) == 2


def test_open_files_do_not_pile_up(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        with whole_file(tmp_path / str(number)):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
