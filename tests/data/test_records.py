from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.records import Record, RecordError, Turn, parse_record

QUESTION = {"from": "human", "value": "<image>\nwhat is it ?"}
PLAIN = {"from": "human", "value": "what is it ?"}
ANSWER = {"from": "gpt", "value": "a circle"}
SOUND = {"id": "7", "image": "a/b.jpg", "conversations": [QUESTION, ANSWER], "source": "captions"}


def parse(fields: Any) -> Record:
    return parse_record(json.dumps(fields), "part-00000.jsonl", 3)


def test_a_sound_line_becomes_a_record() -> None:
    turns = (Turn("user", "<image>\nwhat is it ?"), Turn("assistant", "a circle"))
    assert parse(SOUND) == Record("7", ("a/b.jpg",), turns, "captions", "part-00000.jsonl", 3)


@pytest.mark.parametrize("identity", [12, "12", 12.0, None])
def test_ids_may_be_of_any_kind_or_absent(identity: object) -> None:
    assert isinstance(parse(SOUND | {"id": identity}).id, str)
    assert parse({key: value for key, value in SOUND.items() if key != "id"}).id == "part-00000.jsonl:3"


@pytest.mark.parametrize("image", [None, "", "none", "None", " nan ", float("nan")])
def test_many_spellings_mean_text_only(image: object) -> None:
    assert parse({"image": image, "conversations": [PLAIN, ANSWER]}).images == ()


def test_several_images_stand_in_the_order_of_their_placeholders() -> None:
    asked = {"from": "human", "value": "<image> and <image>, which is round ?"}
    record = parse({"image": ["b.jpg", "a.jpg"], "conversations": [asked, ANSWER]})
    assert record.images == ("b.jpg", "a.jpg")


def test_missing_image_and_source_are_normal() -> None:
    record = parse({"id": 1, "conversations": [PLAIN, ANSWER]})
    assert (record.images, record.source) == ((), "unknown")


def test_the_placeholder_may_stand_in_a_later_question() -> None:
    assert len(parse(SOUND | {"conversations": [PLAIN, ANSWER, QUESTION, ANSWER]}).turns) == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": 1, "conversations": [', "not valid JSON"),
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"id": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"id": "\\ud800"}', "not valid UTF-8"),
        ('{"id": "\udcff"}', "not valid UTF-8"),
        ("[1, 2]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
    ],
)
def test_lines_that_hold_no_object_are_refused(line: str, reason: str) -> None:
    with pytest.raises(RecordError, match=reason):
        parse_record(line, "f", 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conversations": None}, "conversations are missing"),
        ({"conversations": []}, "conversations are missing"),
        ({"conversations": "hello"}, "not a list"),
        ({"conversations": [QUESTION, "a circle"]}, "turn 2 must be an object"),
        (
            {"conversations": [QUESTION, {"from": "bot", "value": "x"}]},
            "turn 2 has role 'bot'; known roles: human, gpt",
        ),
        ({"conversations": [QUESTION, {"from": ["gpt"], "value": "x"}]}, "turn 2 has role"),
        ({"conversations": [QUESTION, {"from": "gpt"}]}, "turn 2 has no text"),
        ({"conversations": [QUESTION, {"from": "gpt", "value": " \n"}]}, "turn 2 is empty"),
        ({"conversations": [ANSWER, QUESTION]}, "turn 1 must be from the user"),
        ({"conversations": [QUESTION, QUESTION]}, "turn 2 must be from the assistant"),
        ({"conversations": [QUESTION]}, "question without an answer"),
        ({"conversations": [PLAIN, ANSWER]}, r"0 <image> placeholders for 1 image\(s\)"),
        ({"image": None}, r"1 <image> placeholders for 0 image\(s\)"),
        ({"conversations": [{"from": "human", "value": "<image><image> ?"}, ANSWER]}, "2 <image> placeholders for 1"),
        ({"conversations": [PLAIN, {"from": "gpt", "value": "<image>"}]}, "stands in an answer"),
        ({"image": ["a.jpg", "b.jpg"]}, r"1 <image> placeholders for 2 image\(s\)"),
        ({"image": 7}, "a path or a list of paths, got int"),
        ({"image": [["a.jpg"]]}, "a path or a list of paths, got list"),
        ({"image": ["a.jpg", "../b.jpg"]}, "leaves the images folder"),
        ({"image": "../secret.jpg"}, "leaves the images folder"),
        ({"image": "a/../../secret.jpg"}, "leaves the images folder"),
        ({"image": "/etc/secret.jpg"}, "leaves the images folder"),
        ({"image": "a\0.jpg"}, "leaves the images folder"),
    ],
)
def test_records_that_cannot_be_trained_on_say_why_in_one_line(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RecordError, match=reason) as caught:
        parse(SOUND | changes)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["from", "value", "image", "conversations"]), inner)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_the_line_holds_it_is_parsed_or_refused(conversations: object, image: object) -> None:
    line = json.dumps({"conversations": conversations, "image": image})
    try:
        assert isinstance(parse_record(line, "f", 1), Record)
    except RecordError as error:
        assert "\n" not in str(error)


@given(st.text())
def test_whatever_the_text_it_is_parsed_or_refused(line: str) -> None:
    with pytest.raises(RecordError):
        parse_record(line, "f", 1)
