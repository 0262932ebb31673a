"""What settings can be: lists of values and ranges of numbers."""

from __future__ import annotations

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opabinia.sweeps.searching.ranges import (
    Domain,
    Range,
    Value,
    at_random,
    highest,
    holds,
    lowest,
    rounded,
    value_text,
)

numbers = st.floats(1e-6, 1e6)


@given(numbers, numbers, st.booleans(), st.integers())
def test_a_draw_lies_in_its_range_and_its_name_tells_all_of_it(one: float, other: float, log: bool, seed: int) -> None:
    if one == other:
        return
    domain = Range(low=min(one, other), high=max(one, other), log=log)
    value = rounded(at_random(random.Random(seed))("x", domain), domain)
    assert holds(domain, value)
    assert isinstance(value, float)
    assert value in (domain.low, domain.high) or float(value_text(value)) == value


@given(st.integers(1, 50), st.integers(1, 50), st.booleans(), st.integers())
def test_between_whole_numbers_are_whole_numbers(low: int, more: int, log: bool, seed: int) -> None:
    domain = Range(low=low, high=low + more, log=log)
    value = rounded(at_random(random.Random(seed))("x", domain), domain)
    assert isinstance(value, int)
    assert holds(domain, value)


def test_with_log_half_of_the_draws_lie_below_the_middle_of_the_logarithms() -> None:
    draw = at_random(random.Random(0))
    drawn = [draw("x", Range(low=1e-4, high=1e-2, log=True)) for _ in range(2000)]
    assert math.log10(median(value for value in drawn if isinstance(value, float))) == pytest.approx(-3, abs=0.1)
    drawn = [draw("x", Range(low=0.0, high=1.0)) for _ in range(2000)]
    assert median(value for value in drawn if isinstance(value, float)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("value", "text"),
    [((4, 16), "4+16"), ((), "none"), (True, "true"), (None, "none"), (2, "2"), (1.2e-3, "0.0012"), (2e-5, "2e-05")],
)
def test_values_have_names(value: Value, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("domain", "least", "most"),
    [
        (Range(low=1, high=3), 1, 3),
        ((3, 1, 2), 1, 3),
        (("cosine", "linear"), "cosine", "linear"),
        ((None, 3), None, 3),
    ],
)
def test_ends(domain: Domain, least: Value, most: Value) -> None:
    assert (lowest("x", domain), highest("x", domain)) == (least, most)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 2, "high": 1}, "high: 1 is not above low, 2"),
        ({"low": 0, "high": 1, "log": True}, "low: 0 has no logarithm"),
    ],
)
def test_ranges_that_are_none_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Range.model_validate(wrong)
