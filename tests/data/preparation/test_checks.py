from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.data.preparation.checks import Refused, check_record, check_size
from opabinia.data.preparation.settings import LimitsConfig
from opabinia.data.records import RecordError, parse_record
from tests.data.preparation.published import MIXED, turns

LIMITS = LimitsConfig()
ODD = st.none() | st.integers() | st.just([]) | st.just({})
TEXTS = st.sampled_from(["", " ", "why?", "<image>", "<image>\nwhat?", "<image><image>"])
ROLES = st.sampled_from(["human", "gpt", "user", "assistant", "system"])
IMAGES = (
    st.sampled_from(["a.jpg", "deep/a.jpg", "", "None", "nan", "/a.jpg", "../a.jpg", "a\\b.jpg"])
    | st.none()
    | st.just(3)
)
CONVERSATIONS = st.lists(
    st.fixed_dictionaries({}, optional={"from": ROLES | ODD, "value": TEXTS | ODD}) | ODD, max_size=4
)
LIKELY = st.builds(turns, TEXTS, TEXTS)


def refusal(record: dict[str, Any], limits: LimitsConfig = LIMITS) -> tuple[str, str] | None:
    try:
        check_record(record, limits)
    except Refused as refused:
        return refused.kind, str(refused)
    return None


@pytest.mark.parametrize("record", MIXED, ids=lambda record: str(record.get("id")))
def test_what_is_published_is_sound_whatever_the_types_of_its_fields(record: dict[str, Any]) -> None:
    assert refusal(record) is None


@given(st.fixed_dictionaries({}, optional={"image": IMAGES, "conversations": LIKELY | CONVERSATIONS | ODD, "id": ODD}))
def test_for_records_of_one_picture_the_rules_are_those_of_training(record: dict[str, Any]) -> None:
    found = refusal(record, LimitsConfig(max_words=None))
    try:
        parse_record(json.dumps(record), "a.jsonl", 1)
    except RecordError as error:
        assert found is not None
        if not str(error).startswith("image must be"):
            assert found[1] == str(error)
        return
    assert found is None


@pytest.mark.parametrize("images", range(4))
@pytest.mark.parametrize("placeholders", range(4))
def test_there_are_as_many_placeholders_as_pictures(images: int, placeholders: int) -> None:
    record = {"image": [f"{n}.jpg" for n in range(images)], "conversations": turns("<image>" * placeholders + "What?")}
    expected = (
        None
        if images == placeholders
        else ("placeholders", f"{placeholders} <image> placeholders for {images} image(s)")
    )
    assert refusal(record) == expected


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({}, "schema"),
        ({"conversations": {"from": "human"}}, "schema"),
        ({"image": {"path": "a.jpg"}, "conversations": turns("<image>")}, "schema"),
        ({"image": ["a.jpg", 3], "conversations": turns("<image><image>")}, "schema"),
        ({"image": ["a.jpg", "../b.jpg"], "conversations": turns("<image><image>")}, "image path"),
        ({"conversations": turns("What?")[::-1]}, "roles"),
        ({"conversations": turns("What?")[:1]}, "roles"),
        ({"image": "a.jpg", "conversations": turns("What?", "<image>")}, "placeholders"),
        ({"conversations": turns("What?", " ")}, "length"),
        ({"conversations": turns("What?", "no " * 20_000)}, "length"),
    ],
)
def test_a_refusal_names_the_check(record: dict[str, Any], kind: str) -> None:
    found = refusal(record)
    assert found is not None
    assert found[0] == kind


def test_limits_on_words_and_pictures_are_the_largest_that_pass() -> None:
    record = {"image": ["a.jpg", "b.jpg"], "conversations": turns("<image> <image> What ?", "Red .")}
    assert refusal(record, LimitsConfig(max_words=6, max_images=2)) is None
    assert refusal(record, LimitsConfig(max_words=5)) == ("length", "6 words, limit max_words = 5")
    assert refusal(record, LimitsConfig(max_images=1)) == ("length", "2 images, limit max_images = 1")


@pytest.mark.parametrize(
    ("width", "height", "problem"),
    [
        (10, 40, ""),
        (40, 10, ""),
        (9, 20, "is 9×20 pixels, limit min_side = 10"),
        (101, 50, "is 101×50 pixels, limit max_side = 100"),
        (10, 41, "is 10×41 pixels, limit max_aspect = 4"),
    ],
)
def test_limits_on_a_picture_hold_lying_and_standing(width: int, height: int, problem: str) -> None:
    assert check_size(width, height, LimitsConfig(min_side=10, max_side=100, max_aspect=4)) == problem
