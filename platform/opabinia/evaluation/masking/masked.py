"""Scores of a model for every subset of its encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.evaluation.evaluate import evaluate
from opabinia.evaluation.masking.utilisation import Kept, MaskedScores
from opabinia.evaluation.pictures import OpenPicture, pictures_in
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import family_scores

if TYPE_CHECKING:
    from torch import Tensor

    from opabinia.models.answering import FeatureSource, ModelAnswerer, Prompt


@dataclass
class _Once:
    """The features of one batch, computed when they are first asked for and given out again for every mask."""

    source: FeatureSource
    _features: list[Tensor] = field(default_factory=list["Tensor"])

    def __call__(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        if not self._features:
            self._features = self.source(prompts)
        return self._features


def score_masks(
    answerer: ModelAnswerer,
    questions: Sequence[Question],
    images: Path | OpenPicture,
    *,
    batch: int = 32,
    max_new_tokens: int = 16,
    prompt_kind: str | None = None,
) -> MaskedScores:
    """Ask every question once for every subset of the encoders, none and all included (arXiv 2507.03262).

    The encoders run once; the connector and the language model 2^encoders times. Raises ValueError as `evaluate` does.
    """
    encoders = answerer.model.config.encoders
    open_picture = pictures_in(images) if isinstance(images, Path) else images
    credits: dict[Kept, list[float]] = {kept: [] for kept in subsets(encoders)}
    for start in range(0, len(questions), batch):
        asked, features, opened = questions[start : start + batch], _Once(answerer.features), cache(open_picture)
        for kept, earned in credits.items():
            masked = replace(answerer, features=_masked(features, [encoder in kept for encoder in encoders]))
            answered = evaluate(
                masked, asked, opened, with_image=True, batch=batch, max_new_tokens=max_new_tokens, prompt_kind=prompt_kind
            )  # fmt: skip
            earned += [mark.credit for mark in answered.answers]
    return MaskedScores(encoders, {kept: family_scores(questions, earned) for kept, earned in credits.items()})


def subsets(encoders: Sequence[str]) -> list[Kept]:
    """All 2^n of them, larger ones first, each in the encoders' order."""
    sizes = range(len(encoders), -1, -1)
    return [kept for size in sizes for kept in combinations(encoders, size)]


def _masked(source: FeatureSource, keep: Sequence[bool]) -> Callable[[Sequence[Prompt]], list[Tensor]]:
    def features(prompts: Sequence[Prompt]) -> list[Tensor]:
        return [grid if kept else grid.new_zeros(grid.shape) for grid, kept in zip(source(prompts), keep, strict=True)]

    return features
