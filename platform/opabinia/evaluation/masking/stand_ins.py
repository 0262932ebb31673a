"""What takes the place of a masked encoder's features."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from opabinia.evaluation.pictures import OpenPicture
from opabinia.evaluation.questions import Question

if TYPE_CHECKING:
    from torch import Tensor

    from opabinia.models.answering import FeatureSource

Masking = Literal["zero", "mean", "resample"]
"""Zeros (arXiv 2507.03262); the encoder's mean grid over the benchmark's pictures; or its features of another picture, drawn anew for
each question. Zeros are what no encoder gives, so that a model may do worse for their strangeness alone.
"""

StandIns = Callable[[Sequence[Question], "Sequence[Tensor]"], "list[Tensor]"]
"""From the questions of a batch that have pictures and their features, per encoder [questions, tokens, width], to as many others."""


def stand_ins(
    masking: Masking,
    source: FeatureSource,
    questions: Sequence[Question],
    open_picture: OpenPicture,
    *,
    seed: int = 0,
    batch: int = 32,
) -> StandIns:
    """Raises ValueError where a picture cannot be read, and for `resample` where there are fewer than two pictures to draw from."""
    images = list(dict.fromkeys(question.image for question in questions if question.image is not None))
    if masking == "zero" or not images:
        return lambda asked, grids: [grid.new_zeros(grid.shape) for grid in grids]
    if masking == "mean":
        means = _mean_grids(source, images, open_picture, batch)
        return lambda asked, grids: [mean.to(grid).expand(grid.shape) for mean, grid in zip(means, grids, strict=True)]
    drawn = _drawn(questions, images, seed)
    return lambda asked, grids: _features(source, [drawn[place_of(question)] for question in asked], open_picture)


def place_of(question: Question) -> tuple[str, str, str]:
    """What tells a question from all others."""
    return question.benchmark, question.family, question.id


def _drawn(questions: Sequence[Question], images: Sequence[str], seed: int) -> dict[tuple[str, str, str], str]:
    """For each question with a picture another picture, every other one alike."""
    if len(images) < 2:
        raise ValueError("masks: resample draws another picture, and all questions are about one; use zero")
    generator, number = random.Random(seed), {image: place for place, image in enumerate(images)}
    # A step of 1 to n - 1 around the circle of pictures never ends where it began.
    return {
        place_of(question): images[(number[question.image] + generator.randrange(1, len(images))) % len(images)]
        for question in questions
        if question.image is not None
    }


def _mean_grids(source: FeatureSource, images: Sequence[str], open_picture: OpenPicture, batch: int) -> list[Tensor]:
    """Per encoder [tokens, width], each picture counted once, in float64."""
    sums: list[Tensor] = []
    for start in range(0, len(images), batch):
        added = [grid.double().sum(0) for grid in _features(source, images[start : start + batch], open_picture)]
        sums = [one + more for one, more in zip(sums, added, strict=True)] if sums else added
    return [one / len(images) for one in sums]


def _features(source: FeatureSource, images: Sequence[str], open_picture: OpenPicture) -> list[Tensor]:
    from opabinia.models.answering import Prompt

    return source([Prompt((), open_picture(image)) for image in images])
