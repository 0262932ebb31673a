"""The learning rate follows the square root of the batch."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.training.learning_rate import scaled_learning_rate

rates = st.floats(1e-8, 1.0)
batches = st.integers(1, 2**20)


def test_four_times_the_batch_doubles_the_rate() -> None:
    assert scaled_learning_rate(1e-3, 2048, 512) == 2e-3


@settings(deadline=None)
@given(rates, batches)
def test_the_base_batch_leaves_the_rate(rate: float, batch: int) -> None:
    assert scaled_learning_rate(rate, batch, batch) == rate


@settings(deadline=None)
@given(rates, batches, batches, batches)
def test_going_by_way_of_another_batch_ends_at_the_same_rate(rate: float, first: int, second: int, third: int) -> None:
    stepwise = scaled_learning_rate(scaled_learning_rate(rate, second, first), third, second)
    assert math.isclose(stepwise, scaled_learning_rate(rate, third, first), rel_tol=1e-12)


@settings(deadline=None)
@given(rates, batches, batches)
def test_a_larger_batch_never_lowers_the_rate(rate: float, batch: int, base: int) -> None:
    assert scaled_learning_rate(rate, batch + 1, base) > scaled_learning_rate(rate, batch, base)


@pytest.mark.parametrize(("batch", "base"), [(0, 8), (8, 0), (-1, 8)])
def test_a_batch_that_is_not_positive_is_refused(batch: int, base: int) -> None:
    with pytest.raises(ValueError, match=f"batch={batch} and base_batch={base}"):
        scaled_learning_rate(1e-3, batch, base)
