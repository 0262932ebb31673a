"""A real model of the shipped parts, its connector untrained, asked with some of its encoders' features zeroed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from connectors.settings.mlp import MlpSettings
from opabinia.evaluation.evaluate import evaluate
from opabinia.evaluation.masking.masked import score_masks, subsets
from opabinia.models.answering import ModelAnswerer, Prompt
from tests.evaluation.specimens import question
from tests.models.small import ENCODERS, random_features, small_model, tokenizer

ASKED = [
    replace(question(n, task=f"task {n % 2}", image=f"{n % 2}.png", choices=("red", "2"), right=n % 2), question=text)
    for n, text in enumerate(("what colour is the circle ?", "how many is 1 plus 1 ?", "how many things are there ?"))
]


@dataclass
class Features:
    """Features of noise for every picture, counting the calls."""

    calls: int = 0

    def __call__(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        self.calls += 1
        return random_features(len(prompts))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for n in range(2):
        Image.new("RGB", (4, 4)).save(tmp_path / f"{n}.png")
    return tmp_path


def test_all_subsets_are_there_the_whole_first() -> None:
    assert subsets(("a", "b")) == [("a", "b"), ("a",), ("b",), ()]
    assert len(subsets(tuple("abcde"))) == 32


def test_a_mask_zeroes_the_other_encoders_features_and_the_encoders_run_once(images: Path) -> None:
    source = Features()
    answerer = ModelAnswerer(small_model(MlpSettings(queries=16)), tokenizer(), source)
    seen: dict[tuple[bool, ...], int] = {}

    def watched(self: ModelAnswerer, prompts: Sequence[Prompt], **options: object) -> object:
        grids = self.features(prompts)
        kept = tuple(bool(grid.any()) for grid in grids)
        assert all(
            torch.equal(grid, whole) for grid, whole, keep in zip(grids, random_features(2), kept, strict=True) if keep
        )
        seen[kept] = seen.get(kept, 0) + 1
        return answer(self, prompts, **options)

    answer = ModelAnswerer.answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelAnswerer, "answer", watched)
        masked = score_masks(answerer, ASKED[:2], images, batch=2, max_new_tokens=2)
    assert seen == {(True, True): 1, (True, False): 1, (False, True): 1, (False, False): 1}
    assert source.calls == 1
    assert masked.encoders == ENCODERS


def test_with_every_encoder_kept_the_score_is_the_models_own(images: Path) -> None:
    answerer = ModelAnswerer(small_model(MlpSettings(queries=16)), tokenizer(), Features())
    masked = score_masks(answerer, ASKED, images, batch=2, max_new_tokens=2)
    own = evaluate(answerer, ASKED, images, with_image=True, batch=2, max_new_tokens=2)
    assert masked.scores[ENCODERS] == own.scores
