from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.data.preparation.converting import json_to_jsonl, jsonl_to_json
from tests.data.preparation.published import MIXED, PACKINGS, as_array, as_jsonl, write
from tests.data.preparation.test_json_arrays import TEXTS, VALUES


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5))
def test_there_and_back_every_value_is_the_same(values: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as scratch:
        array, lines, back = (Path(scratch) / name for name in ("a.json", "a.jsonl", "b.json"))
        array.write_text(json.dumps(values), encoding="utf-8")
        assert json_to_jsonl(array, lines) == len(values)
        assert [json.loads(line) for line in lines.read_bytes().split(b"\n")[:-1]] == values
        assert jsonl_to_json(lines, back) == len(values)
        assert json.loads(back.read_bytes()) == values


@pytest.mark.parametrize("packing", PACKINGS)
def test_compressed_files_are_converted_too(packing: str, tmp_path: Path) -> None:
    array = write(tmp_path / "a", as_array(MIXED, indent=1), packing)
    lines = write(tmp_path / "b", as_jsonl(MIXED), packing)
    json_to_jsonl(array, tmp_path / "a.jsonl")
    jsonl_to_json(lines, tmp_path / "b.json")
    assert (tmp_path / "a.jsonl").read_bytes() == as_jsonl(MIXED)
    assert json.loads((tmp_path / "b.json").read_bytes()) == MIXED


@pytest.mark.parametrize("bad", [b"{", b'{"id": "\\ud800"}', b'{"id": 1e999}'])
def test_what_cannot_be_converted_is_an_error_and_nothing_is_written(bad: bytes, tmp_path: Path) -> None:
    lines = write(tmp_path / "a.jsonl", b'{"id": 1}\n' + bad + b"\n")
    with pytest.raises(ValueError, match=r"a\.jsonl:2: .*; repair it"):
        jsonl_to_json(lines, tmp_path / "b.json")
    assert list(tmp_path.iterdir()) == [lines]
