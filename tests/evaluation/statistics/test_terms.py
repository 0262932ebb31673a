from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import family_scores
from opabinia.evaluation.statistics.clustering import design, mean_of_means
from opabinia.evaluation.statistics.terms import families, term_weights, units
from tests.evaluation.specimens import question
from tests.evaluation.statistics.specimens import burgess, published

PUBLISHED = [
    *published("mme_perception", "general", 12, tasks=("count", "OCR"), per_group=2),
    *published("mmbench", "general", 9, per_group=3),
    *published("gqa", "general", 5),
    *published("ai2d", "knowledge", 7, tasks=("a", "b")),
    *published("ocr_bench", "ocr_chart", 4, tasks=("a", "b")),
    *published("mmvp", "vision_centric", 8, per_group=2, one_picture=False),
    *published("cv_bench_2d", "vision_centric", 9, sources=("COCO", "ADE20K")),
    *published("cv_bench_3d", "vision_centric", 3),
    *published("pope", "general", 6),
]


def scores_agree(questions: list[Question], credits: list[float]) -> None:
    plan = design(questions)
    earned = plan.of_units(np.array([credits]))[0]
    assert 100 * mean_of_means(plan, earned) == pytest.approx(family_scores(questions, credits).average)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=160, max_size=160), st.integers(0, 5))
def test_the_tree_of_means_gives_the_score_that_is_reported(credits: list[float], world: int) -> None:
    scores_agree(burgess(40, np.random.default_rng(world)), credits)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=len(PUBLISHED), max_size=len(PUBLISHED)))
def test_so_it_does_by_the_rules_of_published_benchmarks(credits: list[float]) -> None:
    scores_agree(PUBLISHED, credits)


def test_every_family_is_a_tree_of_its_own() -> None:
    questions = burgess(40, np.random.default_rng(0))
    credits = np.random.default_rng(1).random(len(questions))
    reported = family_scores(questions, credits.tolist()).families
    assert set(families(questions)) == set(reported)
    for family, score in reported.items():
        places = [n for n, asked in enumerate(questions) if asked.family == family]
        plan = design([questions[n] for n in places])
        assert 100 * mean_of_means(plan, plan.of_units(credits[None, places])[0]) == pytest.approx(score)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("cde")), min_size=1))
def test_weights_sum_to_one_and_branches_count_alike(terms: list[tuple[str, str]]) -> None:
    weights = term_weights(terms)
    assert sum(weights.values()) == pytest.approx(1)
    branches = {first: sum(weight for kind, weight in weights.items() if kind[0] == first) for first, _ in terms}
    assert list(branches.values()) == pytest.approx([1 / len(branches)] * len(branches))


def test_a_pair_counts_once_and_is_one_cluster_even_over_two_pictures() -> None:
    pairs = units(published("mmvp", "vision_centric", 4, per_group=2, one_picture=False))
    assert [unit.members for unit in pairs] == [(0, 1), (2, 3)]
    assert len({unit.cluster for unit in pairs}) == 2


def test_the_questions_of_a_pair_share_its_cluster_though_its_picture_is_stored_with_each() -> None:
    pairs = units(published("mme_perception", "general", 4, tasks=("count",), per_group=2, one_picture=False))
    assert [unit.members for unit in pairs] == [(0, 1), (0,), (1,), (2, 3), (2,), (3,)]
    first, *same, second = [unit.cluster for unit in pairs[:4]]
    assert same == [first, first]
    assert first != second


def test_questions_about_one_picture_share_a_cluster_and_those_without_one_stand_alone() -> None:
    asked = [question(0, image="a"), question(1, image="a", task="shape"), question(2), question(3)]
    first, second, *alone = [unit.cluster for unit in units(asked)]
    assert first == second
    assert len({first, *alone}) == 3


def test_a_benchmark_that_the_study_does_not_average_has_no_part_unless_it_is_alone() -> None:
    pope = published("pope", "general", 6)
    assert len(units([*pope, *published("ai2d", "knowledge", 3)])) == 3
    assert families([*pope, *published("ai2d", "knowledge", 3)]) == ["knowledge"]
    assert len(units(pope)) == 6
