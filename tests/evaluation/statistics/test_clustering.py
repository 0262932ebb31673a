from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from opabinia.evaluation.questions import Question
from opabinia.evaluation.statistics.clustering import Design, clustered_variance, design
from tests.evaluation.specimens import question
from tests.evaluation.statistics.specimens import burgess, one_task


def dense_cr2(plan: Design, values: NDArray[np.float64]) -> tuple[float, float]:
    """Variance and degrees of freedom by the matrices of Bell & McCaffrey 2002, none of them simplified."""
    count, terms = len(values), len(plan.weights)
    regressors = np.zeros((count, terms))
    regressors[np.arange(count), plan.terms] = 1.0
    inverse = np.linalg.inv(regressors.T @ regressors)
    hat = regressors @ inverse @ regressors.T
    left = np.eye(count) - hat
    residuals = left @ values
    columns: list[NDArray[np.float64]] = []
    variance = 0.0
    for image in range(plan.clusters):
        here = plan.images == image
        eigenvalues, vectors = np.linalg.eigh(np.eye(here.sum()) - hat[np.ix_(here, here)])
        root = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        weights = root @ regressors[here] @ inverse @ plan.weights
        variance += float(weights @ residuals[here]) ** 2
        columns.append(left[:, here] @ weights)
    spread = np.array(columns) @ np.array(columns).T
    return variance, float(np.trace(spread) ** 2 / np.sum(spread**2))


def test_one_question_an_image_gives_the_textbooks_standard_error() -> None:
    values = np.random.default_rng(0).random(30)
    found = clustered_variance(design(one_task(30)), values)
    assert found.value == pytest.approx(values.var(ddof=1) / 30)
    assert found.degrees == pytest.approx(29)


@pytest.mark.parametrize("images", [12, 40])
def test_the_short_form_is_that_of_the_papers_matrices(images: int) -> None:
    rng = np.random.default_rng(images)
    plan = design(burgess(images, rng))
    values = rng.random(len(plan.terms))
    found = clustered_variance(plan, values)
    assert (found.value, found.degrees) == pytest.approx(dense_cr2(plan, values))


def test_asking_everything_twice_about_the_same_images_makes_nothing_surer() -> None:
    once = one_task(25)
    twice = [*once, *(replace(asked, id=f"again {asked.id}") for asked in once)]
    values = np.random.default_rng(0).random(25)
    alone, doubled = clustered_variance(design(once), values), clustered_variance(design(twice), np.tile(values, 2))
    assert doubled.value == pytest.approx(alone.value)
    assert doubled.degrees == pytest.approx(alone.degrees)


def test_the_order_of_the_questions_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    questions = burgess(30, rng)
    values, order = rng.random(len(questions)), rng.permutation(len(questions))
    one = clustered_variance(design(questions), values)
    other = clustered_variance(design([questions[n] for n in order]), values[order])
    assert (one.value, one.degrees) == pytest.approx((other.value, other.degrees))


def test_where_answers_are_independent_the_variance_is_unbiased_with_few_images() -> None:
    rng = np.random.default_rng(4)
    plan = design(burgess(12, rng))
    truth = float(np.sum(plan.weights**2 / plan.sizes))
    found = [clustered_variance(plan, rng.normal(size=len(plan.terms))).value for _ in range(4000)]
    assert np.mean(found) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([], "none were answered"),
        (one_task(1, per_image=5), "general/colour asks about one image"),
        ([*one_task(4), question(9, task="shape")], "general/shape asks about one image"),
    ],
)
def test_what_has_no_spread_over_images_is_refused(questions: list[Question], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        design(questions)
