"""A mistyped name is answered with the nearest known one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.names import nearest, unknown

ENCODERS = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("burges/caption", "burgess/caption-vit"),
        ("BURGESS/MAE-VIT", "burgess/mim-vit"),
        ("dense-convnext", "burgess/dense-convnext"),
        ("zzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(typed: str, meant: str | None) -> None:
    assert nearest(typed, ENCODERS) == meant


def test_the_error_names_place_kind_name_nearest_and_known() -> None:
    error = unknown("vision encoder", "burges/caption", ["burgess/mim-vit", "burgess/caption-vit"], place="encoders.0")
    assert str(error) == (
        "encoders.0: unknown vision encoder 'burges/caption'; did you mean 'burgess/caption-vit'? "
        "Known: burgess/caption-vit, burgess/mim-vit"
    )


def test_the_error_without_a_near_name_still_lists_the_known_ones() -> None:
    assert str(unknown("connector", "zzz", ["sva"])) == "unknown connector 'zzz'. Known: sva"
    assert str(unknown("connector", "zzz", [])) == "unknown connector 'zzz'. No connector is known"


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, unique_by=str.casefold), st.data())
def test_a_known_name_is_nearest_to_itself(known: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(known))
    assert nearest(name, known) == name


@settings(deadline=None)
@given(st.text(min_size=3), st.lists(st.text(), max_size=5), st.data())
def test_the_order_of_the_known_names_does_not_matter(name: str, known: list[str], data: st.DataObject) -> None:
    assert nearest(name, known) == nearest(name, data.draw(st.permutations(known)))
