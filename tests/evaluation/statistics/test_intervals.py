from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opabinia.evaluation.statistics.clustering import Variance
from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.intervals import Interval, family_intervals, score_interval
from opabinia.evaluation.statistics.variances import added, sampled_score
from tests.evaluation.statistics.specimens import World, burgess, one_task


def test_independent_questions_give_wilsons_interval() -> None:
    earned = np.array([[1.0] * 430 + [0.0] * 70])
    found = score_interval(Credits(tuple(one_task(500)), earned))
    wilson = stats.binomtest(430, 500).proportion_ci(method="wilson")
    assert (found.score, found.low, found.high) == pytest.approx((86, 100 * wilson.low, 100 * wilson.high), abs=0.03)
    assert (found.seeds, found.images) == (1, 500)
    assert found.plus_minus == "86.0 ±3.1"


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_all_right_and_all_wrong_are_no_certainty(right: float) -> None:
    found = score_interval(Credits(tuple(one_task(20, per_image=3)), np.full((1, 60), right)))
    assert found.score == 100 * right
    # Wilson's interval of 20 right answers out of 20, one an image, with Student's t.
    squared = stats.t.ppf(0.975, 19) ** 2
    assert found.high - found.low == pytest.approx(100 * squared / (20 + squared))
    assert 0 <= found.low <= found.score <= found.high <= 100


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(-3, 3))
def test_an_interval_holds_its_score_and_stays_within_0_and_100(draw: int, seeds: int, skill: float) -> None:
    rng = np.random.default_rng(draw)
    questions = burgess(30, rng)
    world = World(skill=skill, seed=0.2)
    found = score_interval(world.answers(questions, world.hardness(questions, rng), seeds, rng))
    assert 0 <= found.low <= found.score <= found.high <= 100


def test_families_have_intervals_of_their_own_which_are_wider() -> None:
    rng = np.random.default_rng(0)
    questions, world = burgess(100, rng), World()
    credits = world.answers(questions, world.hardness(questions, rng), 1, rng)
    whole, families = score_interval(credits), family_intervals(credits)
    assert set(families) == {"general", "knowledge", "ocr_chart", "vision_centric"}
    assert np.mean([found.score for found in families.values()]) == pytest.approx(whole.score)
    assert min(found.half_width for found in families.values()) > whole.half_width


def test_more_seeds_narrow_what_differs_between_seeds_and_not_what_differs_between_images() -> None:
    rng = np.random.default_rng(1)
    questions, world = burgess(60, rng), World(seed=0.3)
    hardness = world.hardness(questions, rng)
    few, many = (sampled_score(world.answers(questions, hardness, seeds, rng)) for seeds in (40, 400))
    assert few.seeds is not None and many.seeds is not None
    assert many.seeds.value < few.seeds.value / 5
    assert many.images.value > few.images.value / 1.2


def test_the_seeds_of_one_configuration_vary_by_the_textbook() -> None:
    credits = Credits(tuple(one_task(3)), np.array([[1.0, 1, 0], [1, 0, 0], [1, 1, 1]]))
    found = sampled_score(credits).seeds
    assert found is not None
    assert found.value == pytest.approx(np.var([2 / 3, 1 / 3, 1], ddof=1) / 3)
    assert found.degrees == 2


def test_degrees_of_freedom_add_up_as_satterthwaites() -> None:
    assert added([Variance(2.0, 10), Variance(2.0, 10)]) == Variance(4.0, 20)
    lone = added([Variance(1.0, 4), Variance(0.0, 2)])
    assert (lone.value, lone.degrees) == (1.0, 4)


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= 100 * truth <= interval.high


@pytest.mark.parametrize(
    ("world", "seeds"),
    [
        (World(image=1.2), 1),
        (World(image=1.0, skill=2.8), 1),
        (World(seed=0.15), 3),
        (World(seed=0.0), 3),
    ],
    ids=["clustered", "near 100 %", "three seeds that differ", "three seeds that do not"],
)
def test_ninety_five_percent_of_intervals_hold_the_truth(world: World, seeds: int) -> None:
    rng = np.random.default_rng(7)
    hits, repeats = 0, 500
    for _ in range(repeats):
        questions = one_task(40, per_image=4)
        hits += covers(
            score_interval(world.answers(questions, world.hardness(questions, rng), seeds, rng)), world.expected()
        )
    assert 0.925 <= hits / repeats <= 0.99


def test_intervals_that_forget_the_images_or_the_seeds_would_not() -> None:
    rng = np.random.default_rng(8)
    world, repeats = World(image=1.5, seed=0.15), 300
    apart = one_task(160)
    unclustered = one_seed = 0
    for _ in range(repeats):
        questions = one_task(40, per_image=4)
        credits = world.answers(questions, world.hardness(questions, rng), 1, rng)
        unclustered += covers(score_interval(Credits(tuple(apart), credits.earned)), world.expected())
        one_seed += covers(score_interval(credits), world.expected())
    assert unclustered / repeats < 0.85
    assert one_seed / repeats < 0.93
