from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.evaluation.statistics.comparing import paired_difference
from opabinia.evaluation.statistics.sample_size import (
    Noise,
    images_needed,
    measured_noise,
    power,
    seeds_needed,
    typical,
    visible,
)
from tests.evaluation.statistics.specimens import World, one_task

NOISE = Noise(per_image=2000.0, per_seed=None, degrees_per_image=1.0, questions_per_image=3.0)
WITH_SEEDS = replace(NOISE, per_seed=4.0)


def test_many_images_and_no_noise_over_seeds_give_the_textbooks_number() -> None:
    # Two-sided 5 %, power 80 %: (1.960 + 0.842)² σ² / d².
    assert images_needed(NOISE, 1.0, seeds=1) == pytest.approx(7.849 * 2000, rel=0.001)


def test_images_enough_to_forget_give_the_textbooks_number_of_seeds() -> None:
    # The two-sample t-test takes 17 in each group where they differ by one standard deviation, and 6 where by two.
    noise = replace(NOISE, per_image=1e-9, per_seed=2.0)
    assert seeds_needed(noise, 1.0, images=1000) == 17
    assert seeds_needed(noise, 2.0, images=1000) == 6


def test_half_the_difference_takes_four_times_the_images() -> None:
    few, many = images_needed(NOISE, 2.0, seeds=1), images_needed(NOISE, 1.0, seeds=1)
    assert few and many and many / few == pytest.approx(4, rel=0.01)


@settings(max_examples=40, deadline=None)
@given(st.floats(1.0, 20.0), st.integers(2, 12))
def test_what_is_needed_is_enough_and_one_fewer_is_not(points: float, seeds: int) -> None:
    images = images_needed(WITH_SEEDS, points, seeds=seeds)
    if images is None:
        assert power(WITH_SEEDS, points, images=10_000_000, seeds=seeds) < 0.8
        return
    assert power(WITH_SEEDS, points, images=images, seeds=seeds) >= 0.8
    assert images == 1 or power(WITH_SEEDS, points, images=images - 1, seeds=seeds) < 0.8


@settings(max_examples=40, deadline=None)
@given(st.floats(1.0, 20.0), st.integers(20, 5000))
def test_so_it_is_with_seeds(points: float, images: int) -> None:
    seeds = seeds_needed(WITH_SEEDS, points, images=images)
    if seeds is None:
        assert power(WITH_SEEDS, points, images=images, seeds=1000) < 0.8
        return
    assert power(WITH_SEEDS, points, images=images, seeds=seeds) >= 0.8
    assert power(WITH_SEEDS, points, images=images, seeds=seeds - 1) < 0.8


def test_no_number_of_images_replaces_seeds() -> None:
    assert images_needed(WITH_SEEDS, 1.0, seeds=3) is None
    assert images_needed(WITH_SEEDS, 1.0, seeds=80) is not None
    assert seeds_needed(WITH_SEEDS, 1.0, images=1000) is None


def test_a_noise_over_seeds_cannot_be_met_with_one_seed() -> None:
    assert power(WITH_SEEDS, 50.0, images=1000, seeds=1) == 0.0
    assert visible(WITH_SEEDS, images=1000, seeds=1) is None


def test_the_smallest_visible_difference_is_the_one_that_takes_these_images() -> None:
    points = visible(WITH_SEEDS, images=700, seeds=6)
    assert points is not None
    assert images_needed(WITH_SEEDS, points, seeds=6) == pytest.approx(700, rel=0.02)


@pytest.mark.parametrize("points", [0.0, -1.0])
def test_there_is_no_plan_for_no_difference(points: float) -> None:
    with pytest.raises(ValueError, match=r"points: .*; plan for a difference above 0"):
        images_needed(NOISE, points, seeds=1)


def test_typical_is_the_middle_and_leaves_out_what_was_not_measured() -> None:
    noises = [replace(NOISE, per_image=1.0), replace(NOISE, per_image=5.0), replace(WITH_SEEDS, per_image=3.0)]
    assert typical(noises) == replace(WITH_SEEDS, per_image=3.0)
    assert typical(noises[:2]).per_seed is None
    with pytest.raises(ValueError, match="no comparison was measured"):
        typical([])


def test_the_noise_of_seeds_is_that_of_one_seed_of_each_however_many_were_run() -> None:
    rng = np.random.default_rng(0)
    questions, world = one_task(30), World(seed=0.3)
    hardness = world.hardness(questions, rng)
    per_seed = [
        measured_noise(
            world.answers(questions, hardness, seeds, rng), world.answers(questions, hardness, other, rng)
        ).per_seed
        for seeds, other in ((200, 200), (200, 50), (300, 1))
    ]
    assert per_seed == pytest.approx([per_seed[0]] * 3, rel=0.25)


def test_a_planned_experiment_sees_what_it_was_planned_for_as_often_as_planned() -> None:
    rng = np.random.default_rng(1)
    better, base = World(skill=0.75, seed=0.1), World(skill=0.5, seed=0.1)
    points = 100 * (better.expected() - base.expected())
    seen: list[bool] = []
    noises: list[Noise] = []
    for _ in range(250):
        questions = one_task(100, per_image=2)
        hardness = base.hardness(questions, rng)
        one, other = (world.answers(questions, hardness, 4, rng) for world in (better, base))
        seen.append(paired_difference(one, other).p < 0.05)
        noises.append(measured_noise(one, other))
    assert noises[0].questions_per_image == 2
    assert power(typical(noises), points, images=100, seeds=4) == pytest.approx(np.mean(seen), abs=0.08)
