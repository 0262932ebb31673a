"""Of records with the same text and the same pictures the first stays, and no other record is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.data.deduplication.contents import load_contents, read_contents, save_contents
from opabinia.data.deduplication.duplicates import Duplicates, deduplicate, find_duplicates
from opabinia.data.deduplication.hashing import load_hashes, save_hashes
from opabinia.data.deduplication.pictures import hash_pictures
from opabinia.data.deduplication.records import text_number
from opabinia.data.deduplication.settings import DeduplicationConfig
from tests.data.deduplication.photographs import flipped, photographs, save

HASHES = {"a.png": flipped(0), "b.png": flipped(0, 5), "c.png": flipped(0, 1, 2, 3, 4), "d.png": flipped(2**64 - 1)}


def record(answer: str, image: str | list[str] | None = None, question: str = "What is it?") -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": "1", "conversations": turns} | ({} if image is None else {"image": image})


def found_in(records: list[dict[str, Any]], distance: int | None = 2) -> Duplicates:
    contents = read_contents(records)
    return find_duplicates(contents, [HASHES[name] for name in contents.names], distance)


def test_the_first_of_equal_records_stays() -> None:
    found = found_in([record("A cat"), record("A dog"), record("A cat"), record("A cat")])
    assert found.rows.tolist() == [0, 1]
    assert found.dropped.tolist() == [[2, 0], [3, 0]]


@pytest.mark.parametrize("other", ["a  cat\n", " A CAT", "\u00c4 cat", "A\u0308 cat"])
def test_case_spaces_and_unicode_forms_make_no_difference(other: str) -> None:
    umlaut = "\u00c4" in other or "\u0308" in other
    assert text_number(record(other)) == text_number(record("\u00e4 cat" if umlaut else "A cat"))


@pytest.mark.parametrize(
    "other",
    [
        record("A cat."),
        record("cat", question="What is it? A"),
        record("A cat", question="What is this?"),
        {"conversations": [{"from": "gpt", "value": "What is it?"}, {"from": "human", "value": "A cat"}]},
    ],
)
def test_other_words_turns_and_roles_are_another_text(other: dict[str, Any]) -> None:
    assert text_number(other) != text_number(record("A cat"))


def test_pictures_count_by_what_they_show() -> None:
    # b is one bit from a, c four, d all.
    records = [record("A cat", name) for name in ("a.png", "b.png", "c.png", "d.png", "a.png")]
    assert found_in(records, 2).first.tolist() == [0, 0, 2, 3, 0]
    assert found_in(records, 4).first.tolist() == [0, 0, 0, 3, 0]
    assert found_in(records, 0).first.tolist() == [0, 1, 2, 3, 0]


def test_one_picture_with_two_questions_is_two_records() -> None:
    records = [record("A cat", "a.png"), record("Grey", "a.png", "Which colour?"), record("A cat")]
    assert found_in(records).rows.tolist() == [0, 1, 2]


def test_the_order_and_number_of_pictures_count() -> None:
    lists = [["a.png", "d.png"], ["d.png", "a.png"], ["a.png"], ["a.png", "a.png"], ["b.png", "d.png"], "a.png"]
    assert found_in([record("A cat", names) for names in lists]).first.tolist() == [0, 1, 2, 3, 0, 2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["x", "X ", "y"]), st.sampled_from([None, *HASHES])), max_size=12))
def test_what_is_found_is_what_comparing_all_with_all_finds(rows: list[tuple[str, str | None]]) -> None:
    # All pictures but b are originals, whatever their order, at one bit; b is a copy of a, or a of b.
    same = {"a.png": "a.png", "b.png": "a.png"}
    keys = [(text.strip().lower(), same.get(image or "", image)) for text, image in rows]
    found = found_in([record(text, image) for text, image in rows], 1)
    assert found.first.tolist() == [keys.index(key) for key in keys]


def step(folder: Path, records: list[dict[str, Any]], rows: list[int], distance: int | None = 2) -> Duplicates:
    """Deduplicate records that stand in these rows of an index, in two parts as the job does."""
    made = folder / "hashes"
    made.mkdir()
    contents = read_contents(records)
    save_contents(contents, made)
    save_hashes(hash_pictures(contents.names, folder / "images", workers=2), made / "pictures.arrow")
    out = folder / "out"
    out.mkdir()
    settings = DeduplicationConfig(distance=distance)
    return deduplicate(settings, np.array(rows), load_contents(made), load_hashes(made / "pictures.arrow"), out)


def test_the_step_compares_pictures_and_says_what_it_found_by_rows_of_the_index(tmp_path: Path) -> None:
    images = tmp_path / "images"
    one, other = photographs()[0], photographs()[7]
    names = [
        save(one, images / "one.png"),
        save(one, images / "again.jpg", quality=80),
        save(one.resize((90, 90)), images / "small.png"),
        save(other, images / "other.png"),
        "gone.png",
    ]
    records = [record("A temple", name) for name in [*names, "gone.png"]]
    found = step(tmp_path, records, [2, 3, 5, 7, 11, 13])
    assert found.first.tolist() == [0, 0, 0, 3, 4, 4]
    out = tmp_path / "out"
    assert np.load(out / "rows.npy", allow_pickle=False).tolist() == [2, 7, 11]
    lines = [json.loads(line) for line in (out / "duplicates.jsonl").read_text().splitlines()]
    assert lines == [{"row": 3, "copy_of": 2}, {"row": 5, "copy_of": 2}, {"row": 13, "copy_of": 11}]
    report = json.loads((out / "report.json").read_text())
    assert report == {"records": 6, "kept": 3, "pictures": 5, "unreadable": {"gone.png": "is missing"}}


def test_byte_for_byte_only_equal_files_are_the_same(tmp_path: Path) -> None:
    names = [save(photographs()[0], tmp_path / "images" / name) for name in ("one.png", "copy.png", "again.jpg")]
    records = [record("A temple", name) for name in names]
    assert step(tmp_path, records, [0, 1, 2], distance=None).first.tolist() == [0, 0, 2]


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), max_size=6), st.sets(st.sampled_from("abcd")), st.data())
def test_pictures_are_told_by_the_rows_that_show_them_and_rows_by_what_they_show(
    shown: list[list[str]], asked: set[str], data: st.DataObject
) -> None:
    contents = read_contents([record("A cat", names) for names in shown])
    rows = data.draw(st.lists(st.booleans(), min_size=len(shown), max_size=len(shown)))
    by_rows = contents.shown_by(np.array(rows, dtype=np.bool_))
    here = {name for name, is_shown in zip(contents.names, by_rows, strict=True) if is_shown}
    assert here == {name for names, wanted in zip(shown, rows, strict=True) if wanted for name in names}
    marked = np.array([name in asked for name in contents.names], dtype=np.bool_)
    assert contents.showing(marked).tolist() == [bool(asked & set(names)) for names in shown]
