"""Scores of a model for every subset of its encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.evaluation.evaluate import evaluate
from opabinia.evaluation.masking.stand_ins import Masking, StandIns, stand_ins
from opabinia.evaluation.masking.utilisation import Kept, MaskedScores
from opabinia.evaluation.pictures import OpenPicture, pictures_in
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import family_scores

if TYPE_CHECKING:
    from torch import Tensor

    from opabinia.models.answering import FeatureSource, ModelAnswerer, Prompt


@dataclass
class _Batch:
    """The features of one batch and what stands in for them, computed when they are first asked for and given out for every mask."""

    asked: Sequence[Question]
    prompts: Sequence[Prompt]
    source: FeatureSource
    others: StandIns

    @cached_property
    def own(self) -> list[Tensor]:
        return self.source(self.prompts)

    @cached_property
    def instead(self) -> list[Tensor]:
        return self.others(self.asked, self.own)

    def masked(self, keep: Sequence[bool]) -> list[Tensor]:
        return [
            mine if kept else self.instead[place] for place, (mine, kept) in enumerate(zip(self.own, keep, strict=True))
        ]


def score_masks(
    answerer: ModelAnswerer,
    questions: Sequence[Question],
    images: Path | OpenPicture,
    *,
    masking: Masking = "zero",
    seed: int = 0,
    batch: int = 32,
    max_new_tokens: int = 16,
    prompt_kind: str | None = None,
) -> MaskedScores:
    """Ask every question once for every subset of the encoders, none and all included (arXiv 2507.03262).

    The encoders run once, and once more to find or draw what stands in for masked features where that is not zeros (`seed`: of
    drawing); the connector and the language model run 2^encoders times. Raises ValueError as `evaluate` and `stand_ins` do.
    """
    encoders = answerer.model.config.encoders
    open_picture = pictures_in(images) if isinstance(images, Path) else images
    others = stand_ins(masking, answerer.features, questions, open_picture, seed=seed, batch=batch)
    credits: dict[Kept, list[float]] = {kept: [] for kept in subsets(encoders)}
    for start in range(0, len(questions), batch):
        asked, opened = questions[start : start + batch], cache(open_picture)
        features = _given_out(asked, answerer.features, others)
        for kept, earned in credits.items():
            masked = replace(answerer, features=features([encoder in kept for encoder in encoders]))
            answered = evaluate(
                masked, asked, opened, with_image=True, batch=batch, max_new_tokens=max_new_tokens, prompt_kind=prompt_kind
            )  # fmt: skip
            earned += [mark.credit for mark in answered.answers]
    return MaskedScores(
        encoders,
        {kept: family_scores(questions, earned) for kept, earned in credits.items()},
        {kept: tuple(earned) for kept, earned in credits.items()},
        tuple(questions),
        masking,
        seed,
    )


def subsets(encoders: Sequence[str]) -> list[Kept]:
    """All 2^n of them, larger ones first, each in the encoders' order."""
    sizes = range(len(encoders), -1, -1)
    return [kept for size in sizes for kept in combinations(encoders, size)]


def _given_out(
    asked: Sequence[Question], source: FeatureSource, others: StandIns
) -> Callable[[Sequence[bool]], FeatureSource]:
    """From which encoders are kept to what gives the features of one batch."""
    batches: list[_Batch] = []

    def features(keep: Sequence[bool]) -> FeatureSource:
        def of_prompts(prompts: Sequence[Prompt]) -> list[Tensor]:
            if not batches:
                pictured = [question for question in asked if question.image is not None]
                batches.append(_Batch(pictured, prompts, source, others))
            return batches[0].masked(keep)

        return of_prompts

    return features
