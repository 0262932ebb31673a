from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.tracking.config import TrackingConfig
from opabinia.tracking.flatten import MAX_KEY, MAX_VALUE, clean_name, flatten


@dataclass
class Stage:
    name: str
    lr: float


def test_a_tree_becomes_dotted_names() -> None:
    tree = {
        "seed": 3,
        "stages": [{"lr": 1e-3}, {"lr": 2e-5}],
        "data": {"sources": {"alignment": {"images": Path("a/b")}}},
    }
    assert flatten(tree) == {
        "seed": "3",
        "stages.0.lr": "0.001",
        "stages.1.lr": "2e-05",
        "data.sources.alignment.images": "a/b",
    }


def test_dataclasses_and_settings_are_read_like_mappings() -> None:
    assert flatten({"stage": Stage("one", 0.1)}) == {"stage.name": "one", "stage.lr": "0.1"}
    assert flatten(TrackingConfig(model_name="m"))["model_name"] == "m"


def test_lists_of_plain_values_are_one_parameter_and_values_are_written_as_in_yaml() -> None:
    tree = {"encoders": ("a", "b"), "none": None, "flag": True, "empty": [], "nothing": {}, "mixed": [1, None]}
    assert flatten(tree) == {
        "encoders": "a, b",
        "none": "null",
        "flag": "true",
        "empty": "[]",
        "nothing": "{}",
        "mixed": "1, null",
    }


def test_a_long_value_is_cut_visibly_at_the_limit() -> None:
    value = flatten({"text": "x" * 7000})["text"]
    assert len(value) == MAX_VALUE
    assert value.endswith("x… (cut)")
    assert flatten({"text": "x" * MAX_VALUE})["text"] == "x" * MAX_VALUE


def test_long_names_stay_distinct_when_cut() -> None:
    one, other = (clean_name("k" * 300 + end) for end in "ab")
    assert one != other
    assert len(one) <= MAX_KEY


def test_names_that_clean_to_the_same_are_both_kept() -> None:
    assert sorted(flatten({"a@b": 1, "a%b": 2}).values()) == ["1", "2"]


@given(st.text(min_size=1, max_size=300))
def test_every_cleaned_name_is_one_that_mlflow_accepts(name: str) -> None:
    cleaned = clean_name(name)
    assert re.fullmatch(r"[/\w.\- :]+", cleaned)
    assert posixpath.normpath(cleaned) == cleaned
    assert not cleaned.startswith(("/", ".."))
    assert cleaned != "."


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = st.text("abcxyz", min_size=1, max_size=4)
TREES = st.dictionaries(KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3)))


@given(TREES)
def test_no_leaf_is_lost(tree: dict[str, Any]) -> None:
    def leaves(node: object) -> int:
        return sum(map(leaves, node.values())) if isinstance(node, dict) and node else 1

    assert len(flatten(tree)) == (leaves(tree) if tree else 1)


@pytest.mark.parametrize("name", ["with_image/vision_centric/2D", "stage 1: loss", "a.b-c_d"])
def test_ordinary_names_are_left_alone(name: str) -> None:
    assert clean_name(name) == name
