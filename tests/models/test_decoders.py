"""Visual tokens and the layers that read grids again work inside every family of decoders that transformers loads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from connectors.contract import GridShape
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.generation import generate
from opabinia.models.multimodal import MultimodalModel, on_host
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.places import place

GRIDS = (GridShape(4, 6), GridShape(8, 5))
LAYERS = (1, 3)
PROMPTS = ([1, 4, IMAGE_TOKEN, 30, 31, 5], [1, 4, 33, 5], [IMAGE_TOKEN, 8, 9, IMAGE_TOKEN, 7])
IMAGES = (1, 0, 2)

_SHAPE = dict(
    vocab_size=64,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=5,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "phi": {},
    "phi3": {},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8},
}


def decoder(family: str) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIG_MAPPING[family](**_SHAPE, **FAMILIES[family]))


def model_of(family: str) -> MultimodalModel:
    connector = SvaSettings(
        queries=16, width=16, heads=2, in_llm_start=LAYERS[0], in_llm_stride=LAYERS[1] - LAYERS[0], in_llm_count=2
    )
    config = ModelConfig(encoders=("a", "b"), connector=connector, language_model=family)
    return MultimodalModel(config, decoder(family), GRIDS).eval()


def features(images: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images, grid.side**2, grid.width, generator=generator) for grid in GRIDS]


def padded(rows: tuple[list[int], ...]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_that_reads_grids_again_is_reached(family: str) -> None:
    model = model_of(family)
    ids, mask = padded(PROMPTS)
    model(ids, features(sum(IMAGES)), mask).logits.square().mean().backward()
    for layer in LAYERS:
        weights = list(model.connector.inner[str(layer)].parameters())  # type: ignore[index]
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_a_layer_adds_exactly_what_the_connector_says_at_the_visual_tokens(family: str) -> None:
    """The reference runs decoder layer by decoder layer through hooks of its own that know only positions."""
    model = model_of(family)
    llm = model.language_model
    ids = torch.tensor([PROMPTS[0]])
    embeddings, inner = model.embed(place(on_host(ids, None, None, None), model.layout), features(1))
    assert inner is not None
    expected: dict[int, Tensor] = {}

    def note(index: int) -> Any:
        def hook(_layer: Any, _args: Any, output: Tensor) -> None:
            hidden = output[0].clone()
            hidden[2:18] = model.connector.reread(index, hidden[2:18], inner.context)
            expected[index] = hidden

        return hook

    found: dict[int, Tensor] = {}

    def receive(index: int) -> Any:
        def hook(_layer: Any, args: Any, kwargs: Any) -> None:
            found[index] = (args[0] if args else kwargs["hidden_states"])[0]

        return hook

    layers = llm.get_decoder().layers  # type: ignore[operator]
    for index in LAYERS:
        # Before the model's own hook, so that it sees what the layer itself gives.
        layers[index].register_forward_hook(note(index), prepend=True)
        layers[index + 1].register_forward_pre_hook(receive(index), with_kwargs=True)
    llm(inputs_embeds=embeddings, use_cache=False, inner_visual=inner)
    for index in LAYERS:
        torch.testing.assert_close(found[index], expected[index])


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_generating_with_the_cache_equals_running_everything_again_for_each_token(family: str) -> None:
    model = model_of(family)
    ids, mask = padded(PROMPTS)
    every = features(sum(IMAGES))
    answers = generate(model, ids, mask, every, max_new_tokens=6, end_tokens=frozenset())
    first = 0
    for row, images, answer in zip(PROMPTS, IMAGES, answers, strict=True):
        own = [grid[first : first + images] for grid in every] if images else []
        first += images
        said: list[int] = []
        for _ in range(6):
            labels = torch.tensor([[IGNORE] * len(row) + said])
            logits = model(torch.tensor([row + said]), own, labels=labels).logits
            said.append(int(logits[0, -1].argmax()))
        assert answer == said


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_text_alone_is_what_the_language_model_says_by_itself(family: str) -> None:
    model = model_of(family)
    ids, mask = padded(PROMPTS)
    alone = torch.tensor([PROMPTS[1]])
    expected = model.language_model(input_ids=alone).logits
    torch.testing.assert_close(model(alone, []).logits, expected)
    torch.testing.assert_close(model(ids, features(sum(IMAGES)), mask).logits[1:2, : alone.shape[1]], expected)
