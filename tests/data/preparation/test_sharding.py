from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from opabinia.data.curation.index import labels
from opabinia.data.curation.index import read_index as read_for_curation
from opabinia.data.preparation.index import read_index, read_placed_rows, read_rows
from opabinia.data.preparation.reading import RejectedLine, read_records
from opabinia.data.preparation.settings import ShardingConfig
from opabinia.data.preparation.sharding import write_prepared
from opabinia.data.records import parse_record
from opabinia.data.source import SourceConfig, list_shards
from tests.data.preparation.published import MIXED, as_array, turns, write

THREE = ShardingConfig(shard_size=3)


def many(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "source": f"s{n * n % 7}", "conversations": turns("é" * (n % 5))} for n in range(count)]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    write_prepared(many(20), tmp_path / "data", THREE)
    return tmp_path / "data"


def test_shards_hold_the_records_in_order_and_equally_many(prepared: Path) -> None:
    shards = sorted(prepared.glob("part-*.jsonl"))
    assert [shard.name for shard in shards] == [f"part-{n:05d}.jsonl" for n in range(7)]
    contents = [[json.loads(line) for line in shard.read_text(encoding="utf-8").splitlines()] for shard in shards]
    assert [len(content) for content in contents] == [3] * 6 + [2]
    assert [record for content in contents for record in content] == many(20)


def test_the_index_says_where_every_record_stands(prepared: Path) -> None:
    for row, record in zip(read_index(prepared).to_pylist(), many(20), strict=True):
        content = (prepared / f"part-{row['shard']:05d}.jsonl").read_bytes()
        assert json.loads(content[row["offset"] : row["offset"] + row["size"]]) == record
        assert content[row["offset"] + row["size"] - 1 : row["offset"] + row["size"]] == b"\n"


def test_the_index_tells_of_each_record_what_choosing_needs(tmp_path: Path) -> None:
    file = write(tmp_path / "published.json", as_array(MIXED))
    index = read_index(write_prepared(read_records([file]), tmp_path / "data", THREE).parent)
    assert index.drop_columns(["shard", "offset", "size", "words", "file", "line"]).to_pylist() == [
        {"id": "000000033471", "source": "unknown", "category": None, "images": 1, "turns": 2},
        {"id": "12", "source": "sqa", "category": None, "images": 1, "turns": 2},
        {"id": "", "source": "unknown", "category": None, "images": 0, "turns": 2},
        {"id": "", "source": "unknown", "category": None, "images": 0, "turns": 2},
        {"id": "1.5", "source": "unknown", "category": None, "images": 0, "turns": 2},
        {"id": "a", "source": "unknown", "category": "general", "images": 2, "turns": 2},
        {"id": "b", "source": "unknown", "category": None, "images": 0, "turns": 2},
    ]
    # "Red, "[{\ 'é'." is three words.
    assert index["words"].to_pylist() == [5, 5, 6, 4, 4, 6, 4]
    assert index["file"].to_pylist() == [str(file)] * 7
    assert index["line"].to_pylist() == [1, 2, 3, 4, 5, 6, 7]


def test_the_types_of_the_columns_are_those_agreed_on(prepared: Path) -> None:
    names = pa.dictionary(pa.int32(), pa.string())
    types = {field.name: field.type for field in read_index(prepared).schema}
    assert types == {
        "shard": pa.int32(), "offset": pa.int64(), "size": pa.int32(), "id": pa.string(), "source": names,
        "category": names, "images": pa.int16(), "turns": pa.int16(), "words": pa.int32(), "file": names, "line": pa.int64(),
    }  # fmt: skip


def test_curation_reads_the_index_though_every_shard_brings_new_sources(prepared: Path) -> None:
    table = read_for_curation(prepared / "index.arrow")
    sources = labels(table["source"])
    assert [sources.names[code] for code in sources.codes] == [record["source"] for record in many(20)]
    assert labels(table["category"]).names == ()


def test_training_finds_the_shards_and_nothing_else(tmp_path: Path) -> None:
    records = [*((None, None, record) for record in MIXED[:5]), ("a", 3, RejectedLine("not valid JSON", "{"))]
    write_prepared(records, tmp_path / "data", THREE)
    shards = list_shards("mine", SourceConfig(shards=str(tmp_path / "data"), images="."))
    lines = [line for shard in shards for line in Path(shard).read_text(encoding="utf-8").splitlines()]
    assert [parse_record(line, "part", 1).turns[1].text for line in lines] == ["Red, \"[{\\ 'é'."] * 5


@pytest.mark.parametrize("rows", [[], [0], [19], range(20), [7, 7, 3, 18, 0], np.array([4, 5, 6], dtype=np.int32)])
def test_rows_come_in_the_order_asked_for(rows: Any, prepared: Path) -> None:
    assert list(read_rows(prepared, rows)) == [many(20)[row] for row in rows]


def test_a_choice_of_rows_becomes_a_prepared_data_set_that_remembers_where_they_came_from(tmp_path: Path) -> None:
    file = write(tmp_path / "published.json", as_array(MIXED))
    write_prepared(read_records([file]), tmp_path / "all", THREE)
    write_prepared(read_placed_rows(tmp_path / "all", [5, 1]), tmp_path / "chosen", THREE)
    assert list(read_rows(tmp_path / "chosen", [0, 1])) == [MIXED[5], MIXED[1]]
    assert read_index(tmp_path / "chosen").select(["file", "line"]).to_pylist() == [
        {"file": str(file), "line": 6},
        {"file": str(file), "line": 2},
    ]


@pytest.mark.parametrize("row", [-1, 20])
def test_a_row_that_is_not_there_is_named(row: int, prepared: Path) -> None:
    with pytest.raises(ValueError, match=rf"data: has no row {row}, only 0 to 19"):
        list(read_rows(prepared, [3, row]))


def test_a_shard_that_was_edited_after_the_index_is_noticed(prepared: Path) -> None:
    shard = prepared / "part-00001.jsonl"
    shard.write_bytes(b" " + shard.read_bytes())
    assert list(read_rows(prepared, [0])) == many(1)
    with pytest.raises(ValueError, match=r"part-00001\.jsonl: is not what the index says at byte 0"):
        list(read_rows(prepared, [3]))


def test_a_damaged_index_is_named(prepared: Path) -> None:
    (prepared / "index.arrow").write_bytes(b"no arrow")
    with pytest.raises(ValueError, match=r"index\.arrow: is no index .*; prepare the data set again"):
        read_index(prepared)


def test_what_cannot_be_written_is_kept_with_its_place(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", b'{"id": 1}\n{"id": 2\n{"id": 1e999}\n{"id": 4}\n')
    write_prepared(read_records([file]), tmp_path / "data", THREE)
    assert [record["id"] for record in read_rows(tmp_path / "data", [0, 1])] == [1, 4]
    kept = [json.loads(line) for line in (tmp_path / "data" / "unreadable.ndjson").read_text().splitlines()]
    assert [(entry["file"], entry["line"], entry["excerpt"]) for entry in kept] == [
        (str(file), 2, '{"id": 2'),
        (str(file), 3, ""),
    ]
    assert all(entry["reason"] and "\n" not in entry["reason"] for entry in kept)


def test_without_a_record_there_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no records to write"):
        write_prepared([("a", 1, RejectedLine("not valid JSON", "{"))], tmp_path / "data", THREE)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", as_array(many(20))[:-5])
    with pytest.raises(ValueError, match="the array is not closed"):
        write_prepared(read_records([file]), tmp_path / "data", THREE)
    assert list(tmp_path.iterdir()) == [file]


def test_a_data_set_that_exists_is_not_written_over(prepared: Path) -> None:
    with pytest.raises(ValueError, match="exists already"):
        write_prepared(many(1), prepared, THREE)
    assert list(read_rows(prepared, [19])) == many(20)[19:]
