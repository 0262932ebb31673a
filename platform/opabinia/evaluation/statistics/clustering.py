"""The sampling variance of a mean of means, where answers about one image are not independent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opabinia.evaluation.questions import Question
from opabinia.evaluation.statistics.terms import term_weights, units

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Design:
    """How the credits of questions form a score: U units in K terms with their weights, about G images.

    `members` lists the units' questions one unit after the other and `starts` (U,) where each unit's begin. `terms` and `images`
    (U,) number each unit's term and image; `weights` (K,) are the terms' in the score; `sizes` (K,) counts their units; `counts`
    (G, K) counts each image's units in each term.
    """

    members: Places
    starts: Places
    terms: Places
    images: Places
    weights: Floats
    sizes: Floats
    counts: Floats

    @property
    def clusters(self) -> int:
        """The number of images."""
        return self.counts.shape[0]

    def of_units(self, earned: Floats) -> Floats:
        """From the credits of questions (seeds, questions) to those of units (seeds, U): a group's multiply."""
        return np.multiply.reduceat(earned[:, self.members], self.starts, axis=1)


@dataclass(frozen=True, slots=True)
class Variance:
    """A variance in squared units of the score, with the degrees of freedom that its estimate rests on."""

    value: float
    degrees: float


def design(questions: Sequence[Question]) -> Design:
    """Number units, terms and images. A question without an image is a cluster of its own.

    Raises ValueError where there are no questions, or where all of one term are about one image: one image says nothing about
    how images differ.
    """
    if not questions:
        raise ValueError("questions: none were answered; ask at least one")
    counted = units(questions)
    weights = term_weights(unit.term for unit in counted)
    terms = _numbered([unit.term for unit in counted], list(weights))
    images = _numbered([unit.cluster for unit in counted])
    counts = np.zeros((int(images.max()) + 1, len(weights)))
    np.add.at(counts, (images, terms), 1.0)
    for kind, images_of_it in zip(weights, (counts > 0).sum(axis=0), strict=True):
        if images_of_it < 2:
            raise ValueError(f"questions: {'/'.join(kind)} asks about one image; an interval needs at least two")
    sizes = [len(unit.members) for unit in counted]
    return Design(
        members=np.array([place for unit in counted for place in unit.members], dtype=np.intp),
        starts=np.cumsum([0, *sizes[:-1]], dtype=np.intp),
        terms=terms,
        images=images,
        weights=np.array(list(weights.values())),
        sizes=counts.sum(axis=0),
        counts=counts,
    )


def mean_of_means(plan: Design, values: Floats) -> float:
    """The score, from what every unit earned (U,)."""
    return float(plan.weights @ _means(plan, values))


def influences(plan: Design, values: Floats) -> Floats:
    """How far each image moves the score from its expectation (G,): the sum of their squares estimates the variance.

    The delta method on means whose numbers of questions are random too, with each image's part in each term enlarged by
    1/√(1 − its share of the term's units): CR2 of Bell & McCaffrey 2002 ("Bias reduction in standard errors for linear
    regression with multi-stage samples") for a regression on the terms, where it has this closed form. Unlike the plain
    cluster-robust variance it is unbiased with few images where answers are in truth independent.
    """
    residuals = values - _means(plan, values)[plan.terms]
    by_image = np.zeros_like(plan.counts)
    np.add.at(by_image, (plan.images, plan.terms), residuals)
    return (by_image * _leverage(plan)) @ (plan.weights / plan.sizes)


def clustered_variance(plan: Design, values: Floats) -> Variance:
    """The variance of `mean_of_means` over samples of images."""
    return Variance(float(np.sum(influences(plan, values) ** 2)), degrees_of_freedom(plan))


def degrees_of_freedom(plan: Design) -> float:
    """Satterthwaite degrees of freedom of the CR2 variance, had all answers the same variance.

    Bell & McCaffrey 2002; Imbens & Kolesár 2016, "Robust standard errors in small samples". The covariance of the images'
    influences is a diagonal matrix minus one of rank K, so nothing of size G × G is built.
    """
    adjusted = plan.weights / plan.sizes * _leverage(plan)
    diagonal = (adjusted**2 * plan.counts).sum(axis=1)
    shared = adjusted * plan.counts / np.sqrt(plan.sizes)
    trace = diagonal.sum() - (shared**2).sum()
    squared = (diagonal**2).sum() - 2 * (diagonal @ (shared**2).sum(axis=1)) + ((shared.T @ shared) ** 2).sum()
    return max(1.0, float(trace**2 / squared))


def _means(plan: Design, values: Floats) -> Floats:
    return np.bincount(plan.terms, weights=values, minlength=len(plan.sizes)) / plan.sizes


def _leverage(plan: Design) -> Floats:
    """(G, K), 1 where an image asks nothing in a term."""
    return 1 / np.sqrt(1 - plan.counts / plan.sizes)


def _numbered(names: Sequence[Hashable], order: Sequence[Hashable] = ()) -> Places:
    number = {name: place for place, name in enumerate(dict.fromkeys(order or names))}
    return np.array([number[name] for name in names], dtype=np.intp)
