"""Each encoder's share for every question that has a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, cast

from opabinia.evaluation.evaluate import ask
from opabinia.evaluation.pictures import OpenPicture, pictures_in
from opabinia.evaluation.questions import Question

if TYPE_CHECKING:
    from torch import Tensor

    from opabinia.models.answering import ModelAnswerer

Shares = tuple[float, ...]
"""One an encoder, summing to 1."""


@dataclass(frozen=True, slots=True)
class EncoderShares:
    """`places`: for each place of the model that weighs encoders (a layer of a connector, a layer of the language model) the shares of
    each question.

    kind: what was measured, attention (a softmax over the keys of all encoders together), router, weights or tokens.
    """

    kind: str
    encoders: tuple[str, ...]
    questions: tuple[Question, ...]
    places: Mapping[str, tuple[Shares, ...]]

    def of_question(self, number: int) -> Shares:
        """Meant over places."""
        return _mean([shares[number] for shares in self.places.values()])

    def of_family(self, family: str, place: str | None = None) -> Shares:
        """Meant over its questions, at one place or over all."""
        found = self.places.values() if place is None else [self.places[place]]
        return _mean([of[n] for of in found for n, question in enumerate(self.questions) if question.family == family])

    @property
    def families(self) -> tuple[str, ...]:
        """Those of the questions, in their order."""
        return tuple(dict.fromkeys(question.family for question in self.questions))


def encoder_shares(
    answerer: ModelAnswerer,
    questions: Sequence[Question],
    images: Path | OpenPicture,
    *,
    batch: int = 32,
    prompt_kind: str | None = None,
) -> EncoderShares:
    """Let the model read each question that has a picture, up to its answer.

    Raises ValueError where no question has a picture, where the connector weighs no encoders, and for pictures as `evaluate` does.
    """
    from connectors.recorded_shares import recorded_shares

    connector = answerer.model.connector
    open_picture = pictures_in(images) if isinstance(images, Path) else images
    pictured = [question for question in questions if question.image is not None]
    if not pictured:
        raise ValueError("shares: no question has a picture; name a family that is asked about pictures")
    with recorded_shares(connector) as recorded:
        for start in range(0, len(pictured), batch):
            asked = pictured[start : start + batch]
            prompts = [ask(question, open_picture, with_image=True, prompt_kind=prompt_kind) for question in asked]
            answerer.answer(prompts, max_new_tokens=1)
    if not recorded:
        kind = answerer.model.config.connector.type
        raise ValueError(f"shares: {kind} does not weigh encoders against each other; leave out --shares")
    places = {place: tuple(row for each in passes for row in _rows(each)) for place, passes in recorded.items()}
    return EncoderShares(connector.share_kind, answerer.model.config.encoders, tuple(pictured), places)


def _rows(shares: Tensor) -> list[Shares]:
    """[images, encoders]"""
    return [tuple(row) for row in cast("list[list[float]]", shares.tolist())]


def _mean(shares: Sequence[Shares]) -> Shares:
    return tuple(fmean(column) for column in zip(*shares, strict=True))
