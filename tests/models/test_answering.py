"""What an answerer counts, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor

from connectors.settings.sva import SvaSettings
from opabinia.data.records import PLACEHOLDER, Turn
from opabinia.models import load_cambrian
from opabinia.models.answering import Answer, ModelAnswerer, Prompt
from tests.models.small import random_features, small_model, tokenizer
from tests.models.test_cambrian import FIXTURES

QUESTION = Prompt((Turn("user", f"{PLACEHOLDER}\nis there a circle ?"),), image_key="any")


@pytest.fixture(scope="module")
def answerer() -> ModelAnswerer:
    def features(prompts: Sequence[Prompt]) -> list[Tensor]:
        return random_features(len(prompts))

    return ModelAnswerer(small_model(SvaSettings()), tokenizer(), features)


def test_visual_tokens_count_as_part_of_the_prompt(answerer: ModelAnswerer) -> None:
    blind = Prompt((Turn("user", "is there a circle ?"),))
    seen, unseen = answerer.answer([QUESTION, blind], max_new_tokens=1)
    # A line break is no word of this language model's.
    assert seen.prompt_tokens - unseen.prompt_tokens == answerer.model.connector.queries


def test_an_answer_that_reaches_its_limit_says_so(answerer: ModelAnswerer) -> None:
    story = Prompt((Turn("user", "describe the picture ."),))
    (answer,) = answerer.answer([story], max_new_tokens=1)
    assert (answer.completion_tokens, answer.finish_reason) == (1, "length")


@pytest.mark.parametrize("words, new", [(300, 1), (20, 250)])
def test_more_than_the_language_model_can_read_is_refused(answerer: ModelAnswerer, words: int, new: int) -> None:
    prompt = Prompt((Turn("user", "red " * words),))
    with pytest.raises(ValueError, match=r"reads 256 in all; shorten the prompt or lower max_tokens"):
        answerer.answer([prompt], max_new_tokens=new)


def test_a_long_neighbour_does_not_change_an_answer(answerer: ModelAnswerer) -> None:
    (alone,) = answerer.answer([QUESTION], max_new_tokens=4)
    beside, _ = answerer.answer([QUESTION, Prompt((Turn("user", "blue " * 60),))], max_new_tokens=4)
    assert alone == beside


def test_the_padding_of_a_published_models_pictures_is_left_out() -> None:
    """16 x 5 pixels fill 2.5 rows of a grid of 8 x 8, of which 2 are kept; a separator ends each row."""
    model = load_cambrian(FIXTURES / "sva_square")

    def features(prompts: Sequence[Prompt]) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(len(prompts), grid.side**2, grid.width, generator=generator) for grid in model.grids]

    def ask(image: Image.Image) -> Answer:
        prompt = Prompt((Turn("user", f"{PLACEHOLDER} is there a circle ?"),), image)
        return ModelAnswerer(model, tokenizer(), features).answer([prompt], max_new_tokens=3)[0]

    square, wide = ask(Image.new("RGB", (16, 16))), ask(Image.new("RGB", (16, 5)))
    assert square.prompt_tokens - wide.prompt_tokens == 8 * 9 - 2 * 9
