"""A real model of the shipped parts, its connector untrained, asked with something else for some of its encoders' features."""

from __future__ import annotations

import json
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
from opabinia.evaluation.masking.masks_file import load_masks, save_masks
from opabinia.evaluation.masking.stand_ins import Masking, stand_ins
from opabinia.evaluation.masking.utilisation import information_gap, utilisation
from opabinia.evaluation.pictures import pictures_in
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import family_scores
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


@dataclass
class Coloured:
    """Every token of both encoders is the picture's level of red; the second encoder's are ten times that."""

    def __call__(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        levels = [float(prompt.image.getpixel((0, 0))[0]) for prompt in prompts if prompt.image is not None]  # type: ignore[index]
        return [
            factor * torch.tensor(levels)[:, None, None].expand(len(levels), *grid.shape[1:])
            for factor, grid in zip((1.0, 10.0), random_features(1), strict=True)
        ]


def several(tmp_path: Path) -> list[Question]:
    """Three pictures of red 1, 2 and 6, of which the first is asked about twice; the last question has none."""
    for number, red in enumerate((1, 2, 6)):
        Image.new("RGB", (4, 4), (red, 0, 0)).save(tmp_path / f"{number}.png")
    images = ["0.png", "1.png", "0.png", "2.png", None]
    return [
        replace(question(n, image=image, choices=("red", "2")), question="what colour is the circle ?")
        for n, image in enumerate(images)
    ]


@pytest.mark.parametrize("batch", [2, 5])
def test_the_mean_is_of_pictures_not_of_questions(tmp_path: Path, batch: int) -> None:
    asked = several(tmp_path)
    others = stand_ins("mean", Coloured(), asked, pictures_in(tmp_path), batch=batch)
    first, second = others(asked[:2], [grid[:2] for grid in random_features(2)])
    assert first.shape == random_features(2)[0].shape
    assert torch.equal(first, torch.full_like(first, 3.0))
    assert torch.equal(second, torch.full_like(second, 30.0))


def test_another_picture_is_drawn_for_each_question_by_the_seed(tmp_path: Path) -> None:
    asked = several(tmp_path)
    reds = dict(zip(asked, (1.0, 2.0, 1.0, 6.0), strict=False))
    drawn: set[tuple[float, ...]] = set()
    for seed in range(20):
        others = stand_ins("resample", Coloured(), asked, pictures_in(tmp_path), seed=seed)
        first, second = others(asked[:4], random_features(4))
        assert torch.equal(second[:, :1, :1], 10 * first[:, :1, :1])
        levels = tuple(first[:, 0, 0].tolist())
        assert all(level in {1.0, 2.0, 6.0} - {red} for level, red in zip(levels, reds.values(), strict=True))
        # Alone in a batch a question gets the same picture.
        again = stand_ins("resample", Coloured(), asked, pictures_in(tmp_path), seed=seed)
        assert again(asked[2:3], random_features(1))[0][0, 0, 0] == levels[2]
        drawn.add(levels)
    assert {levels[0] for levels in drawn} == {2.0, 6.0}
    assert any(levels[0] != levels[2] for levels in drawn)


def test_with_one_picture_there_is_no_other_to_draw(images: Path) -> None:
    with pytest.raises(ValueError, match="all questions are about one; use zero"):
        stand_ins("resample", Coloured(), ASKED[:1], pictures_in(images))


@pytest.mark.parametrize("masking", ["mean", "resample"])
def test_what_stands_in_reaches_the_model_for_masked_encoders_alone(tmp_path: Path, masking: Masking) -> None:
    asked, seen = several(tmp_path), dict[tuple[float, float], int]()

    def watched(self: ModelAnswerer, prompts: Sequence[Prompt], **options: object) -> object:
        grids = self.features([prompt for prompt in prompts if prompt.has_picture])
        found = (float(grids[0][-1, 0, 0]), float(grids[1][-1, 0, 0]))
        seen[found] = seen.get(found, 0) + 1
        return answer(self, prompts, **options)

    answer = ModelAnswerer.answer
    answerer = ModelAnswerer(small_model(MlpSettings(queries=16)), tokenizer(), Coloured())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelAnswerer, "answer", watched)
        masked = score_masks(answerer, asked, tmp_path, masking=masking, batch=8, max_new_tokens=1)
    # The last picture's red is 6; what stands in for it is the mean, or another's.
    others = {3.0} if masking == "mean" else {1.0, 2.0}
    (other,) = {first for first, _ in seen} - {6.0}
    assert other in others
    assert seen == {(6.0, 60.0): 1, (6.0, 10 * other): 1, (other, 60.0): 1, (other, 10 * other): 1}
    assert (masked.masking, masked.questions) == (masking, tuple(asked))


def test_masked_scores_are_made_of_the_credits_beside_them_and_can_be_read_again(images: Path, tmp_path: Path) -> None:
    answerer = ModelAnswerer(small_model(MlpSettings(queries=16)), tokenizer(), Features())
    masked = score_masks(answerer, ASKED, images, masking="resample", seed=3, batch=2, max_new_tokens=2)
    assert set(masked.credits) == set(subsets(ENCODERS))
    for kept, credits in masked.credits.items():
        assert family_scores(masked.questions, credits) == masked.scores[kept]
    save_masks(tmp_path / "masks.json", masked)
    assert load_masks(tmp_path / "masks.json") == masked
    written = json.loads((tmp_path / "masks.json").read_text())
    for encoder in ENCODERS:
        assert written["utilisation"][encoder]["average"] == utilisation(masked, encoder, "average")
    assert written["information_gap"]["general"] == information_gap(masked, "general")


def test_a_damaged_file_of_masks_is_named(tmp_path: Path) -> None:
    (tmp_path / "masks.json").write_text('{"masking": "zero", "seed": 0, "encoders": "x"}')
    with pytest.raises(ValueError, match=r"masks\.json is damaged at encoders; score the masks again"):
        load_masks(tmp_path / "masks.json")
    with pytest.raises(ValueError, match=r"none\.json does not exist"):
        load_masks(tmp_path / "none.json")


def test_with_every_encoder_kept_the_score_is_the_models_own(images: Path) -> None:
    answerer = ModelAnswerer(small_model(MlpSettings(queries=16)), tokenizer(), Features())
    masked = score_masks(answerer, ASKED, images, batch=2, max_new_tokens=2)
    own = evaluate(answerer, ASKED, images, with_image=True, batch=2, max_new_tokens=2)
    assert masked.scores[ENCODERS] == own.scores
