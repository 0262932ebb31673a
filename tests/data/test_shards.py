from __future__ import annotations

import json
from pathlib import Path

import pytest

from opabinia.data.shards import read_lines, write_shards


def test_records_come_back_in_order_from_shards_of_the_asked_size(tmp_path: Path) -> None:
    paths = write_shards(({"id": index, "text": "é\u2028x"} for index in range(7)), tmp_path / "out", 3)
    assert [path.name for path in paths] == ["part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl"]
    assert [len(list(read_lines(path))) for path in paths] == [3, 3, 1]
    assert [json.loads(line)["id"] for path in paths for _, line in read_lines(path)] == list(range(7))


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_shards([{"b": 1, "a": "ü"}], tmp_path / name, 10)[0] for name in ("x", "y"))
    assert first.read_bytes() == second.read_bytes()


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken():
        yield {"id": 1}
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        write_shards(broken(), tmp_path / "out", 1)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        write_shards([{"id": 1}], tmp_path / "out", 1)


def test_no_records_and_no_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records to write"):
        write_shards([], tmp_path / "out", 5)
    with pytest.raises(ValueError, match="shard_size: expected at least 1"):
        write_shards([{"id": 1}], tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()


def test_lines_keep_their_numbers_across_blanks_and_bad_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "x\rz"}\r\n\n  \n\xff\xfe\n{"b": 1}')
    lines = list(read_lines(path))
    assert [number for number, _ in lines] == [1, 4, 5]
    assert lines[1][1] == "\udcff\udcfe\n"
