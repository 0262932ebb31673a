from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opabinia.evaluation.statistics.comparing import compare_all, holm, paired_difference
from opabinia.evaluation.statistics.credits import Credits, joined
from opabinia.evaluation.statistics.variances import sampled_difference
from tests.evaluation.statistics.specimens import World, burgess, one_task

PLAIN = World()


def credits(*seeds: list[float]) -> Credits:
    return Credits(tuple(one_task(len(seeds[0]))), np.array(seeds))


def drawn(seeds: int, draw: int, world: World = PLAIN, images: int = 40) -> tuple[Credits, Credits]:
    rng = np.random.default_rng(draw)
    questions = one_task(images, per_image=4)
    hardness = world.hardness(questions, rng)
    return world.answers(questions, hardness, seeds, rng), world.answers(questions, hardness, seeds, rng)


def test_one_question_an_image_and_one_seed_is_the_paired_t_test() -> None:
    one, other = np.random.default_rng(0).integers(0, 2, size=(2, 60)).astype(float)
    found = paired_difference(credits(one.tolist()), credits(other.tolist()))
    expected = stats.ttest_rel(one, other)
    ends = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((100 * ends.low, 100 * ends.high))
    assert not found.over_seeds


def test_the_same_answers_differ_by_nothing_for_sure() -> None:
    one, _ = drawn(1, 0)
    found = paired_difference(one, one)
    assert (found.points, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_few_images_that_all_agree_are_no_proof() -> None:
    found = paired_difference(credits([1, 1, 1]), credits([0, 0, 0]))
    assert found.points == 100
    assert found.p > 0.05
    assert paired_difference(credits([1] * 50), credits([0] * 50)).p < 0.0001


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3))
def test_turned_around_everything_changes_sign_and_nothing_else(draw: int, seeds: int) -> None:
    one, other = drawn(seeds, draw)
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert (there.points, there.low, there.high) == pytest.approx((-back.points, -back.high, -back.low))
    assert there.p == pytest.approx(back.p)


def test_pairing_takes_out_what_both_find_hard() -> None:
    one, other = drawn(1, 1, World(image=2.0, question=2.0, crossing=0.0))
    paired = sampled_difference(one, other)
    shuffled = Credits(one.questions, one.earned[:, np.random.default_rng(0).permutation(len(one.questions))])
    assert paired.images.value < sampled_difference(shuffled, other).images.value / 2


def test_seeds_of_both_sides_add_up_as_welch_does() -> None:
    one, other = credits([1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]), credits([1, 0, 0, 0], [1, 1, 0, 0])
    found = sampled_difference(one, other).seeds
    assert found is not None
    first, second = np.var([0.5, 0.25, 0.75], ddof=1) / 3, np.var([0.25, 0.5], ddof=1) / 2
    assert found.value == pytest.approx(first + second)
    assert found.degrees == pytest.approx((first + second) ** 2 / (first**2 / 2 + second**2 / 1))


def test_where_one_side_has_one_seed_the_others_spread_stands_for_it() -> None:
    several, single = credits([1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]), credits([1, 0, 0, 0])
    spread = np.var([0.5, 0.25, 0.75], ddof=1)
    for found in (sampled_difference(several, single).seeds, sampled_difference(single, several).seeds):
        assert found is not None
        assert (found.value, found.degrees) == pytest.approx((spread / 3 + spread, 2))


def test_the_order_in_which_the_other_was_asked_does_not_matter() -> None:
    one, other = drawn(2, 2)
    order = np.random.default_rng(0).permutation(len(other.questions))
    mixed = Credits(tuple(other.questions[n] for n in order), other.earned[:, order])
    assert paired_difference(one, mixed) == paired_difference(one, other)


def test_those_who_did_not_answer_the_same_questions_are_not_compared() -> None:
    one, other = drawn(1, 3)
    reworded = (replace(other.questions[0], question="which hue ?"), *other.questions[1:])
    with pytest.raises(ValueError, match="general question 0 was not answered by both"):
        paired_difference(one, replace(other, questions=reworded))
    fewer = Credits(other.questions[:-1], other.earned[:, :-1])
    with pytest.raises(ValueError, match="general question 159 was not answered by both"):
        paired_difference(one, fewer)
    with pytest.raises(ValueError, match="general question 159 was not answered by both"):
        joined([fewer, one])


def test_the_baseline_must_be_there_and_not_alone() -> None:
    one, other = drawn(1, 4)
    with pytest.raises(ValueError, match="baseline: 'c' has no finished trial; name one of a, b"):
        compare_all({"a": one, "b": other}, "c")
    with pytest.raises(ValueError, match="nothing to compare it with"):
        compare_all({"a": one}, "a")


def test_every_other_configuration_is_compared_with_its_families() -> None:
    rng = np.random.default_rng(5)
    questions, world = burgess(60, rng), World()
    hardness = world.hardness(questions, rng)
    answers = {name: world.answers(questions, hardness, 2, rng) for name in ("a", "b", "c")}
    found = compare_all(answers, "b")
    assert [comparison.name for comparison in found] == ["a", "c"]
    assert [comparison.corrected_p for comparison in found] == holm([comparison.average.p for comparison in found])
    for comparison in found:
        families = [difference.points for difference in comparison.families.values()]
        assert np.mean(families) == pytest.approx(comparison.average.points)


def test_holm_multiplies_by_how_many_are_left_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferronis_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for raw, fixed in zip(p_values, corrected, strict=True):
        assert raw <= fixed <= min(1.0, raw * len(p_values)) + 1e-12
    assert np.all(np.diff(np.array(corrected)[np.argsort(p_values, kind="stable")]) >= 0)


def false_alarms(world: World, seeds: int, configurations: int, repeats: int) -> tuple[float, float]:
    """How often equal configurations seem to differ: the first comparison alone, and any after correction."""
    rng = np.random.default_rng(11)
    alone = any_of_all = 0
    for _ in range(repeats):
        questions = one_task(40, per_image=4)
        hardness = world.hardness(questions, rng)
        answers = {str(n): world.answers(questions, hardness, seeds, rng) for n in range(configurations)}
        differences = [paired_difference(answers[name], answers["0"]) for name in list(answers)[1:]]
        alone += differences[0].p < 0.05
        any_of_all += min(holm([difference.p for difference in differences])) < 0.05
    return alone / repeats, any_of_all / repeats


@pytest.mark.parametrize(
    ("world", "seeds"), [(World(image=1.0), 1), (World(seed=0.2), 3)], ids=["one seed", "three seeds"]
)
def test_equal_configurations_seem_to_differ_in_one_comparison_of_twenty_and_in_one_sweep_of_twenty(
    world: World, seeds: int
) -> None:
    alone, any_of_all = false_alarms(world, seeds, configurations=6, repeats=250)
    assert alone <= 0.085
    assert any_of_all <= 0.085


def test_forgetting_that_seeds_differ_finds_differences_that_are_not_there() -> None:
    rng = np.random.default_rng(12)
    world, found = World(seed=0.3), 0
    for _ in range(200):
        questions = one_task(60, per_image=4)
        hardness = world.hardness(questions, rng)
        one, other = (world.answers(questions, hardness, 1, rng) for _ in range(2))
        found += paired_difference(one, other).p < 0.05
    assert found / 200 > 0.2
