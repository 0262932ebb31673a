"""The learning rate follows the square root of the batch, and its schedule over the steps."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.training.optimisation.learning_rate import peak_learning_rate, rate_factor, scaled_learning_rate
from tests.training.stages import stage

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


@pytest.mark.parametrize(
    ("part", "rate"),
    [
        ("connector", 1e-3),
        ("sva", 1e-4),
        ("sva_in_llm", 1e-4),
        ("language_model", 2e-5),
        ("encoders.burgess/mim-vit", 1e-5),
    ],
)
def test_a_part_has_the_rate_of_the_nearest_that_it_is_a_part_of(part: str, rate: float) -> None:
    rates = {"sva": 1e-4, "language_model": 2e-5, "encoders": 1e-5}
    config = stage(trains=("connector", "language_model", "encoders"), lr=1e-3, learning_rates=rates, batch=36)
    assert peak_learning_rate(config, part) == pytest.approx(3 * rate)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.8, 0.6, 0.4]),
        ("cosine", [0.5, 1, 1, 0.2 + 0.8 * (2 + math.sqrt(2)) / 4, 0.6, 0.2 + 0.8 * (2 - math.sqrt(2)) / 4]),
    ],
)
def test_each_schedule_goes_its_way_to_the_floor(schedule: str, factors: list[float]) -> None:
    config = stage(steps=6, warmup_steps=2, schedule=schedule, floor=0.2)
    assert [rate_factor(config, step) for step in range(6)] == pytest.approx(factors)


@given(
    steps=st.integers(2, 400),
    share=st.floats(0, 0.9),
    schedule=st.sampled_from(["cosine", "linear", "constant"]),
    floor=st.floats(0, 1),
)
def test_after_the_warm_up_the_rate_falls_from_the_peak_and_never_below_the_floor(
    steps: int, share: float, schedule: str, floor: float
) -> None:
    config = stage(steps=steps, warmup_steps=int(share * steps), schedule=schedule, floor=floor)
    factors = [rate_factor(config, step) for step in range(int(share * steps), steps)]
    assert factors[0] == pytest.approx(1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(factors))
    assert min(factors) >= floor - 1e-12
