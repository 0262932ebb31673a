"""Features of frozen encoders, from the table or not, and pixels for those that learn, in one batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from opabinia.encoders.fitting import fitting_of
from opabinia.encoders.loading import VisionEncoder, load_encoder, load_learning_encoder
from opabinia.features.encoder_source import CatalogueSource
from opabinia.models.answering import EncodedPictures
from opabinia.training.inputs import TrainingInputs
from opabinia.training.visual_features import FreshFeatures, RunFeatures, open_features
from tests.features.writing import write_table
from tests.training.pictured import paint, part_of, prompts_of, text_part

FROZEN, LEARNS, OTHER = "burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return paint(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def table(pictures: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the frozen encoder alone."""
    folder = tmp_path_factory.mktemp("table") / "features.lance"
    write_table(folder, pictures, [FROZEN], precision="float32", source=CatalogueSource())
    return folder


@pytest.fixture
def learning() -> VisionEncoder:
    return load_learning_encoder(LEARNS)


def opened(
    encoders: tuple[str, ...], table: Path | None, *learning: VisionEncoder, prompts_stored: bool = True
) -> RunFeatures:
    inputs = TrainingInputs(tokenizer=Path(), audits={}, rejected={}, benchmark_keys={}, features=table)
    modules = {encoder.entry.id: encoder for encoder in learning}
    return open_features(
        inputs, encoders, memory_mib=64, decoding="full", learning=modules, prompts_stored=prompts_stored
    )


def anew(pictures: dict[str, str], *names: str) -> list[Tensor]:
    fresh = FreshFeatures(EncodedPictures([load_encoder(name) for name in names]), "full")
    return fresh.of_batch(part_of(pictures, fresh.more))


@pytest.mark.parametrize("encoders", [(FROZEN, LEARNS), (LEARNS, FROZEN), (LEARNS, OTHER, FROZEN)])
@pytest.mark.parametrize("stored", [True, False])
def test_a_frozen_encoder_gives_features_and_a_learning_one_pixels_in_the_model_s_order(
    pictures: dict[str, str], table: Path, learning: VisionEncoder, encoders: tuple[str, ...], stored: bool
) -> None:
    others = [load_learning_encoder(OTHER)] if OTHER in encoders else []
    features = opened(encoders, table if stored else None, learning, *others)
    shown = dict(zip(encoders, features.of_batch(part_of(pictures, features.more)), strict=True))
    assert shown[LEARNS].shape == (4, 3, 96, 96)
    expected = dict(zip((FROZEN, LEARNS), anew(pictures, FROZEN, LEARNS), strict=True))
    torch.testing.assert_close(shown[FROZEN], expected[FROZEN], rtol=0, atol=0)
    torch.testing.assert_close(learning(shown[LEARNS]), expected[LEARNS], rtol=0, atol=0)


def test_the_stream_brings_pixels_of_those_only_that_need_them(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features = opened((FROZEN, LEARNS), table, learning)
    given = part_of(pictures, None).table.column_names
    added = set(part_of(pictures, features.more).table.column_names) - set(given)
    assert added == {fitting_of(learning.entry).name}
    assert opened((FROZEN,), table).more is None


def test_encoders_that_all_learn_need_no_table(pictures: dict[str, str], learning: VisionEncoder) -> None:
    features = opened((LEARNS,), Path("there is none"), learning)
    (pixels,) = features.of_batch(part_of(pictures, features.more))
    assert pixels.shape == (4, 3, 96, 96)


def test_only_frozen_encoders_that_are_run_take_memory_for_themselves(table: Path, learning: VisionEncoder) -> None:
    frozen = sum(weight.numel() * 4 for weight in load_encoder(FROZEN).parameters())
    assert opened((FROZEN, LEARNS), None, learning).frozen_bytes == frozen
    assert opened((FROZEN, LEARNS), table, learning).frozen_bytes == 0
    assert opened((FROZEN,), table).frozen_bytes == 0


def test_text_alone_shows_nothing(table: Path, learning: VisionEncoder) -> None:
    assert opened((FROZEN, LEARNS), table, learning).of_batch(text_part()) == []


def test_a_stage_about_one_encoder_is_shown_that_one_only(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features = opened((FROZEN, LEARNS), table, learning)
    alone = features.only((LEARNS,))
    (pixels,) = alone.of_batch(part_of(pictures, alone.more))
    assert pixels.shape == (4, 3, 96, 96)
    stored = features.only((FROZEN,))
    assert stored.more is None
    (read,) = stored.of_batch(part_of(pictures, None))
    torch.testing.assert_close(read, anew(pictures, FROZEN)[0], rtol=0, atol=0)
    swapped = features.only((LEARNS, FROZEN))
    assert [one.shape[1] for one in swapped.of_batch(part_of(pictures, swapped.more))] == [3, 64]


def test_answers_rest_on_the_weights_of_the_moment(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features, prompts = opened((FROZEN, LEARNS), table, learning), prompts_of(pictures)
    learning.requires_grad_()
    stored, before = features.of_prompts(prompts)
    assert not before.requires_grad
    torch.testing.assert_close(stored, anew(pictures, FROZEN)[0], rtol=0, atol=0)
    with torch.no_grad():
        for parameter in learning.parameters():
            parameter.mul_(1.1)
    same, after = features.of_prompts(prompts)
    assert same.equal(stored)
    torch.testing.assert_close(after, EncodedPictures([learning])(prompts)[0], rtol=0, atol=0)
    assert not after.equal(before)


def test_answers_can_rest_on_a_copy_of_an_encoder(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features, copy = opened((FROZEN, LEARNS), table, learning), load_learning_encoder(LEARNS)
    before = features.of_prompts(prompts_of(pictures))[1]
    with torch.no_grad():
        next(copy.parameters()).add_(1.0)
    through = features.through({LEARNS: copy}).of_prompts(prompts_of(pictures))[1]
    assert through.equal(EncodedPictures([copy])(prompts_of(pictures))[0])
    assert not through.equal(before)
    assert features.of_prompts(prompts_of(pictures))[1].equal(before)


def test_prompts_that_are_not_in_the_table_are_encoded_and_batches_are_read(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features = opened((FROZEN, LEARNS), table, learning, prompts_stored=False)
    prompts = [replace(prompt, image_key="") for prompt in prompts_of(pictures)]
    expected = EncodedPictures([load_encoder(FROZEN), learning])(prompts)
    for found, fresh in zip(features.of_prompts(prompts), expected, strict=True):
        assert found.equal(fresh)
    read = features.of_batch(part_of(pictures, features.more))[0]
    torch.testing.assert_close(read, anew(pictures, FROZEN)[0], rtol=0, atol=0)
    weights = sum(weight.numel() * 4 for weight in load_encoder(FROZEN).parameters())
    assert features.frozen_bytes == weights


def test_copies_answer_for_encoders_that_learn_where_prompts_are_not_in_the_table(
    pictures: dict[str, str], table: Path, learning: VisionEncoder
) -> None:
    features, copy = opened((FROZEN, LEARNS), table, learning, prompts_stored=False), load_learning_encoder(LEARNS)
    with torch.no_grad():
        next(copy.parameters()).add_(1.0)
    through = features.through({LEARNS: copy}).of_prompts(prompts_of(pictures))[1]
    assert through.equal(EncodedPictures([copy])(prompts_of(pictures))[0])
