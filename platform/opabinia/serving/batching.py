"""Requests with different settings, answered in as few calls of the model as those settings allow."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from opabinia.models.answering import Answer, Answerer, Prompt
from opabinia.serving.sampling import Sampling

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a model."""

    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer; the message is for the client when the request is at fault, else for the log."""

    fault: Literal["request", "server"]
    message: str


def answer_all(answerer: Answerer, asked: Sequence[Asked]) -> list[Answer | Refusal]:
    """Answer in the order asked; a request that fails spoils none of the others."""
    groups = defaultdict[Hashable, list[int]](list)
    for index, one in enumerate(asked):
        groups[_group(index, one.sampling)].append(index)
    outcomes: dict[int, Answer | Refusal] = {}
    for indices in groups.values():
        outcomes.update(zip(indices, _answer_group(answerer, [asked[index] for index in indices]), strict=True))
    return [outcomes[index] for index in range(len(asked))]


def _group(index: int, sampling: Sampling) -> Hashable:
    # One generator draws for the whole call: next to neighbours a seed would give another answer every time.
    return sampling if sampling.seed is None else (index, sampling)


def _answer_group(answerer: Answerer, asked: Sequence[Asked]) -> Sequence[Answer | Refusal]:
    settings = asked[0].sampling
    try:
        return answerer.answer(
            [one.prompt for one in asked],
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=settings.seed,
        )
    # Whatever a model raises must become this request's error, not the end of the batch.
    except Exception as error:
        if len(asked) > 1:
            return [_answer_group(answerer, [one])[0] for one in asked]
        return [_refuse(error)]


def _refuse(error: Exception) -> Refusal:
    if isinstance(error, ValueError):
        return Refusal("request", str(error))
    _log.error("the model failed on a request", exc_info=error)
    return Refusal("server", f"{type(error).__name__}: {error}")
