from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opabinia.data.preparation import reading
from opabinia.data.preparation.reading import RejectedLine, find_files, read_records
from tests.data.preparation.published import MIXED, PACKINGS, as_array, as_jsonl, write


def records(*addresses: Path | str) -> list[dict[str, Any] | RejectedLine]:
    return [content for _, _, content in read_records(addresses)]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    "content",
    [
        as_jsonl(MIXED),
        as_array(MIXED),
        as_array(MIXED, indent=2),
        b"\xef\xbb\xbf" + as_array(MIXED),
        b"\xef\xbb\xbf" + as_jsonl(MIXED),
    ],
    ids=["jsonl", "array", "indented", "array-bom", "jsonl-bom"],
)
def test_records_are_the_same_however_they_are_published(content: bytes, packing: str, tmp_path: Path) -> None:
    file = write(tmp_path / f"data.json{packing}", content, packing)
    found = list(read_records([file]))
    assert [record for _, _, record in found] == MIXED
    assert [(name, number) for name, number, _ in found] == [(str(file), n + 1) for n in range(len(MIXED))]


def test_a_file_compressed_byte_by_byte_is_recognised_as_well(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf \n" + as_array(MIXED)
    for packing in (".gz", ".zst"):
        pieces = [PACKINGS[packing](content[place : place + 1]) for place in range(len(content))]
        assert records(write(tmp_path / f"a.json{packing}", b"".join(pieces))) == MIXED


def test_lines_keep_their_numbers_and_bad_ones_come_with_a_reason_and_how_they_begin(tmp_path: Path) -> None:
    lines = [b'{"id": 1}', b"", b'{"id": 2', b"  ", b"[3]", b'{"id": "\xff"}', b'{"id": "\\ud800"}', b'{"id": 4}\r']
    file = write(tmp_path / "a.jsonl", b"\n".join(lines))
    found = [(number, content) for _, number, content in read_records([file])]
    assert [number for number, _ in found] == [1, 3, 5, 6, 7, 8]
    assert [content for _, content in found if isinstance(content, dict)] == [{"id": 1}, {"id": 4}]
    assert [(c.reason.split(" at ")[0], c.excerpt) for _, c in found if isinstance(c, RejectedLine)] == [
        ("not valid JSON: Expecting ',' delimiter", '{"id": 2'),
        ("expected a JSON object, got list", "[3]"),
        ("not valid UTF-8 text", '{"id": "\ufffd"}'),
        ("not valid UTF-8 text", '{"id": "\\ud800"}'),
    ]


def test_bad_items_of_an_array_are_found_between_good_ones(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", b'[{"id": 1}, {"id": tru}, 7, {"id": 2}]')
    found = [(number, content) for _, number, content in read_records([file])]
    assert [number for number, content in found if isinstance(content, RejectedLine)] == [2, 3]
    assert [content for _, content in found if isinstance(content, dict)] == [{"id": 1}, {"id": 2}]


def test_the_nan_that_pandas_writes_for_a_missing_field_is_null(tmp_path: Path) -> None:
    assert records(write(tmp_path / "a.jsonl", b'{"id": 1, "image": NaN, "score": -Infinity}\n')) == [
        {"id": 1, "image": None, "score": None}
    ]


def test_a_line_too_long_to_be_a_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RECORD_BYTES", 50)
    content = b'{"id": 1}\n{"id": "' + b"x" * 130 + b'"}\n{"id": 2}\n'
    first, second, third = read_records([write(tmp_path / "a.jsonl", content)])
    assert (first[1:], third[1:]) == ((1, {"id": 1}), (3, {"id": 2}))
    assert isinstance(second[2], RejectedLine)
    assert second[2].reason == "longer than 50 bytes"


def test_an_array_that_was_not_fetched_to_its_end_is_an_error_after_the_records_before(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", as_array(MIXED)[:-30])
    found = read_records([file])
    assert [next(found)[2] for _ in MIXED[:-1]] == MIXED[:-1]
    with pytest.raises(ValueError, match=r"a\.json: the array is not closed"):
        next(found)


def test_folders_and_patterns_mean_the_data_files_in_them_each_once(tmp_path: Path) -> None:
    names = ["b.jsonl", "a.json.gz", "deep/c.JSON.zst", "1.jpg", "notes.txt", "index.arrow"]
    for name in names:
        write(tmp_path / name, b"")
    found = [str(tmp_path / name) for name in ("a.json.gz", "b.jsonl", "deep/c.JSON.zst")]
    assert find_files([tmp_path]) == found
    assert find_files([tmp_path / "*.jsonl", tmp_path]) == [found[1], found[0], found[2]]
    assert find_files([tmp_path / "notes.txt"]) == [str(tmp_path / "notes.txt")]


@pytest.mark.parametrize("address", ["absent.json", "empty", "*.jsonl"])
def test_an_address_that_means_no_file_is_refused_at_once(address: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="correct the address"):
        read_records([tmp_path / address])
