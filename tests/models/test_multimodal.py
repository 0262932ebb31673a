"""The assembled model: what decides its loss and its answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import BloomConfig, BloomForCausalLM

from connectors.settings.sequence_append import SequenceAppendSettings
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN, encode_conversation
from opabinia.data.records import Turn
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.generation import Sampling, generate
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from tests.models.small import CONNECTORS, ENCODERS, LANGUAGE_MODEL, random_features, small_model, tokenizer

PROMPTS = ([1, 4, IMAGE_TOKEN, 80, 69, 99, 5], [1, 4, 99, 80, 5], [1, 4, IMAGE_TOKEN, 70, 5])


def padded(rows: tuple[list[int], ...]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
    return ids, mask


def without_cache(model: MultimodalModel, row: list[int], features: list[Tensor], count: int) -> list[int]:
    """Greedy decoding that runs the whole sequence again for every token."""
    said: list[int] = []
    for _ in range(count):
        ids = torch.tensor([row + said])
        # What was said is marked as an answer, which is no part of the question.
        labels = torch.tensor([[IGNORE] * len(row) + said])
        said.append(int(model(ids, features, labels=labels).logits[0, -1].argmax()))
    return said


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
@torch.no_grad()
def test_generating_with_the_cache_in_a_mixed_batch_equals_recomputing_each_alone(connector: ConnectorConfig) -> None:
    model = small_model(connector).eval()
    features = random_features(2)
    ids, mask = padded(PROMPTS)
    answers = generate(model, ids, mask, features, max_new_tokens=5, end_tokens=frozenset())
    images = iter(range(2))
    for row, answer in zip(PROMPTS, answers, strict=True):
        own: list[Tensor] = []
        if IMAGE_TOKEN in row:
            index = next(images)
            own = [grid[index : index + 1] for grid in features]
        assert answer == without_cache(model, row, own, 5)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
def test_padding_does_not_change_a_samples_loss(connector: ConnectorConfig) -> None:
    model = small_model(connector).eval()
    turns = (Turn("user", "<image>\nwhat colour is the circle ?"), Turn("assistant", "red"))
    encoded = encode_conversation(tokenizer(), turns)
    ids, labels = torch.tensor([encoded.input_ids]), torch.tensor([encoded.labels])
    features = random_features(1)
    alone = model(ids, features, labels=labels).loss
    wide = torch.nn.functional.pad(ids, (0, 7))
    mask = torch.nn.functional.pad(torch.ones_like(ids, dtype=torch.bool), (0, 7))
    padded_loss = model(wide, features, mask, torch.nn.functional.pad(labels, (0, 7), value=-100)).loss
    torch.testing.assert_close(alone, padded_loss)


@torch.no_grad()
def test_the_picture_matters_where_there_is_a_placeholder_and_nowhere_else() -> None:
    model = small_model(SvaSettings()).eval()
    ids, mask = padded(PROMPTS)
    one, other = (model(ids, random_features(2, seed=seed), mask).logits for seed in (0, 1))
    assert not torch.allclose(one[0], other[0])
    torch.testing.assert_close(one[1, :5], other[1, :5])


@torch.no_grad()
def test_layers_inside_the_language_model_change_the_answer() -> None:
    model = small_model(SvaSettings()).eval()
    ids, features = torch.tensor([PROMPTS[0]]), random_features(1)
    before = model(ids, features).logits
    for parameter in model.connector.inner.parameters():  # type: ignore[union-attr]
        parameter.mul_(2)
    assert not torch.allclose(before, model(ids, features).logits)


def test_an_encoder_without_features_is_missed() -> None:
    with pytest.raises(ValueError, match=r"features: 1 tensors for 2 encoders; give one each of burgess/caption-vit, "):
        small_model(SvaSettings())(torch.tensor([PROMPTS[0]]), random_features(1)[:1])


@pytest.mark.parametrize(("images", "said"), [(0, "0 pictures for 1"), (2, "2 pictures for 1")])
def test_pictures_and_placeholders_must_be_as_many(images: int, said: str) -> None:
    with pytest.raises(ValueError, match=f"features: {said} image placeholders in input_ids"):
        small_model(SvaSettings())(torch.tensor([PROMPTS[0]]), random_features(images))


def test_a_layer_that_the_language_model_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="layer 4 is asked for, but the language model has 4"):
        small_model(SvaSettings(in_llm_count=5))


@torch.no_grad()
def test_sampling_repeats_with_its_seed_and_varies_without() -> None:
    model = small_model(SvaSettings()).eval()
    ids, mask = padded((PROMPTS[1],))

    def sample(seed: int) -> list[list[int]]:
        sampling = Sampling(temperature=3.0, seed=seed)
        return generate(model, ids, mask, [], max_new_tokens=8, end_tokens=frozenset(), sampling=sampling)

    assert sample(1) == sample(1)
    assert any(sample(1) != sample(seed) for seed in range(2, 6))


@torch.no_grad()
def test_a_tiny_top_p_is_greedy() -> None:
    model = small_model(SvaSettings()).eval()
    ids, mask = padded((PROMPTS[1],))
    settings = {"max_new_tokens": 4, "end_tokens": frozenset[int]()}
    greedy = generate(model, ids, mask, [], **settings)
    assert generate(model, ids, mask, [], sampling=Sampling(1.0, top_p=1e-6, seed=0), **settings) == greedy


def test_a_language_model_that_is_built_otherwise_is_refused() -> None:
    config = ModelConfig(encoders=ENCODERS, connector=SvaSettings(), language_model=LANGUAGE_MODEL)
    bloom = BloomForCausalLM(BloomConfig(hidden_size=32, n_layer=1, n_head=2, vocab_size=64))
    with pytest.raises(ValueError, match="language_model: the decoder of BloomForCausalLM has no `layers`; choose one"):
        MultimodalModel(config, bloom)


def test_rows_cannot_be_separated_where_there_is_no_single_grid() -> None:
    config = ModelConfig(
        encoders=ENCODERS, connector=SequenceAppendSettings(), language_model=LANGUAGE_MODEL, row_separator=True
    )
    with pytest.raises(ValueError, match="row_separator: sequence_append gives no single grid"):
        MultimodalModel(config, small_model(SvaSettings()).language_model)
