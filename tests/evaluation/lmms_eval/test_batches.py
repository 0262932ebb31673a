"""Answers where the task allows more words than the model can read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from torch import Tensor

from connectors.settings.sva import SvaSettings
from opabinia.data.records import Turn
from opabinia.evaluation.lmms_eval.batches import answer_in_room
from opabinia.models.answering import ModelAnswerer, Prompt
from tests.models.small import random_features, small_model, tokenizer

READS = 256
"""Positions of the toy world's language model."""


@pytest.fixture(scope="module")
def answerer() -> ModelAnswerer:
    def features(prompts: Sequence[Prompt]) -> list[Tensor]:
        return random_features(len(prompts))

    return ModelAnswerer(small_model(SvaSettings(queries=16)), tokenizer(), features)


def words(count: int, picture: str = "") -> Prompt:
    return Prompt((Turn("user", ("<image> " if picture else "") + "red " * count),), image_key=picture)


def test_where_there_is_room_the_limit_is_the_tasks(answerer: ModelAnswerer) -> None:
    (answer,) = answer_in_room(answerer, [words(3)], 2)
    assert answer == answerer.answer([words(3)], max_new_tokens=2)[0]


@pytest.mark.parametrize("picture", ["", "any"])
def test_an_answer_may_fill_what_the_prompt_leaves(answerer: ModelAnswerer, picture: str) -> None:
    prompt = words(220, picture)
    (answer,) = answer_in_room(answerer, [prompt], 1024)
    assert answer.prompt_tokens == 223 + (16 if picture else 0)
    whole = answerer.answer([prompt], max_new_tokens=READS - answer.prompt_tokens)
    assert [answer] == whole


def test_an_answer_is_the_same_beside_any_others(answerer: ModelAnswerer) -> None:
    prompts = [words(240), words(235, "any"), words(250), words(240)]
    alone = [answer_in_room(answerer, [prompt], 1024)[0] for prompt in prompts]
    assert answer_in_room(answerer, prompts, 1024) == alone
    assert len({answer.prompt_tokens for answer in alone}) == 3


def test_a_prompt_that_leaves_no_room_is_refused(answerer: ModelAnswerer) -> None:
    with pytest.raises(ValueError, match="the model reads 256 in all"):
        answer_in_room(answerer, [words(300)], 5)
