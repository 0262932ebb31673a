"""Activations that are computed twice are kept once less, and change no gradient by a single bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.encoders.loading import READERS, load_encoder
from opabinia.models.activation_checkpointing import checkpoint_activations, compute_twice, repeated_blocks
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.generation import generate
from opabinia.models.multimodal import MultimodalModel
from tests.models.test_decoders import FAMILIES, PROMPTS, features, model_of, padded

EVERYTHING = ActivationCheckpointing(decoder_layers=1, connector=True)


def model_with(settings: ActivationCheckpointing, family: str = "llama", dropout: float = 0.0) -> MultimodalModel:
    model = model_of(family).train()
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = dropout
    checkpoint_activations(model, settings)
    return model


def loss_of(model: nn.Module) -> Tensor:
    ids, mask = padded(PROMPTS)
    labels = ids.masked_fill((ids == IMAGE_TOKEN) | ~mask, IGNORE)
    return model(ids, features(3), mask, labels).loss


def with_gradients(model: nn.Module) -> list[Tensor]:
    torch.manual_seed(1)
    loss = loss_of(model)
    loss.backward()
    return [loss.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


def kept_bytes(model: nn.Module) -> int:
    """What the forward pass keeps for the backward pass, as far as no module has its own way of keeping it."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # The graph, and so what it keeps, lives as long as the loss does.
        loss = loss_of(model)
    del loss
    return sum(sizes.values())


@pytest.mark.parametrize("settings", [EVERYTHING, ActivationCheckpointing(decoder_layers=2)], ids=["all", "some"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_stay_the_same_bit_by_bit_with_dropout(family: str, settings: ActivationCheckpointing) -> None:
    """Layers 1 and 3 read grids again, by a hook of the decoder layer."""
    expected = with_gradients(model_with(ActivationCheckpointing(), family, dropout=0.3))
    found = with_gradients(model_with(settings, family, dropout=0.3))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_what_is_read_again_inside_the_language_model_is_computed_twice() -> None:
    model = model_with(EVERYTHING)
    calls: list[str] = []
    for layer, block in model.connector.inner.items():  # type: ignore[operator]
        block.register_forward_pre_hook(lambda _block, _args, layer=layer: calls.append(layer))
    loss = loss_of(model)
    assert calls == ["1", "3"]
    loss.backward()
    assert calls == ["1", "3", "3", "1"]


def test_the_more_is_computed_twice_the_less_is_kept() -> None:
    nothing, some, layers, everything = (
        kept_bytes(model_with(settings))
        for settings in (
            ActivationCheckpointing(),
            ActivationCheckpointing(decoder_layers=2),
            ActivationCheckpointing(decoder_layers=1),
            EVERYTHING,
        )
    )
    assert nothing > some > layers > everything


def test_asking_twice_is_asking_once() -> None:
    model = model_with(EVERYTHING)
    checkpoint_activations(model, EVERYTHING)
    calls: list[int] = []
    model.language_model.get_decoder().layers[0].register_forward_pre_hook(lambda *_: calls.append(1))  # type: ignore[operator]
    with_gradients(model)
    assert len(calls) == 2


def test_answers_and_names_stay_what_they_are() -> None:
    plain, twice = model_with(ActivationCheckpointing()), model_with(EVERYTHING)
    assert list(twice.state_dict()) == list(plain.state_dict())
    for before, after in zip(plain.modules(), twice.modules(), strict=True):
        assert isinstance(after, type(before))
        assert str(type(after)) == str(type(before))
    ids, mask = padded(PROMPTS)
    answers = [
        generate(model.eval(), ids, mask, features(3), max_new_tokens=4, end_tokens=frozenset())
        for model in (plain, twice)
    ]
    assert answers[0] == answers[1]


@pytest.fixture
def _one_process_group() -> Iterator[None]:
    from torch import distributed

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_one_process_group")
@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module:UserWarning")
def test_sharded_parameters_are_there_when_activations_are_computed_again() -> None:
    from torch.distributed.fsdp import fully_shard

    expected = with_gradients(model_with(ActivationCheckpointing()))
    model: Any = model_with(EVERYTHING)
    for part in (*model.language_model.get_decoder().layers, *model.connector.inner.values(), model):
        fully_shard(part)
    loss, *gradients = with_gradients(model)
    torch.testing.assert_close([loss, *(gradient.full_tensor() for gradient in gradients)], expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["burgess/caption-vit", "burgess/dense-convnext"])
def test_an_encoder_that_is_trained_computes_its_blocks_twice(name: str) -> None:
    gradients: list[list[Tensor]] = []
    for settings in (ActivationCheckpointing(), ActivationCheckpointing(encoders=True)):
        encoder = load_encoder(name)
        backbone = encoder.backbone.requires_grad_(True)
        checkpoint_activations(model_of("llama"), settings, [encoder])
        calls: list[int] = []
        for block in repeated_blocks(backbone):
            block.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        pixels = torch.randn(2, 3, encoder.entry.input_size, encoder.entry.input_size, generator=torch.manual_seed(0))
        READERS[encoder.entry.library].maps(backbone, pixels, encoder.entry)[-1].square().mean().backward()
        assert len(calls) == len(repeated_blocks(backbone)) * (2 if settings.encoders else 1)
        gradients.append([parameter.grad for parameter in backbone.parameters() if parameter.grad is not None])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


def test_blocks_of_a_staged_network_are_the_innermost_ones() -> None:
    def block() -> nn.Module:
        return nn.TransformerEncoderLayer(4, 1, 4)

    stages = [nn.Sequential(nn.Sequential(block(), block())), nn.Sequential(nn.Sequential(block(), block(), block()))]
    network = nn.Sequential(nn.Conv2d(3, 4, 2), nn.ModuleList(stages), nn.Linear(4, 4))
    assert [type(found) for found in repeated_blocks(network)] == [nn.TransformerEncoderLayer] * 5


def test_a_network_without_repeated_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"activation_checkpointing\.encoders: Linear"):
        checkpoint_activations(model_of("llama"), ActivationCheckpointing(encoders=True), [nn.Linear(2, 2)])


def test_a_module_without_parameters_can_compute_twice() -> None:
    module = nn.Sequential(nn.Tanh(), nn.Tanh())
    compute_twice([module])
    inputs = torch.ones(3, requires_grad=True)
    module(inputs).sum().backward()
    expected = torch.ones(3, requires_grad=True)
    expected.tanh().tanh().sum().backward()
    assert torch.equal(inputs.grad, expected.grad)  # type: ignore[arg-type]
