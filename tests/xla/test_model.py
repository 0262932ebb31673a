"""The multimodal model on PyTorch/XLA: the same losses and gradients as on the CPU, and no batch that asks for another compilation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.head import head_of
from opabinia.models.loss import chunked_next_token_loss
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.places import pad_pictures, place
from opabinia.training.backends.backend import Backend
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.xla import count_compilations
from tests.models.small import random_features, small_model
from tests.xla.varied import Varied, shape, varied

SVA = SvaSettings(in_llm_count=3)
WARM_UP, STEPS, CHUNK = 3, 50, 64
TWICE = ActivationCheckpointing(decoder_layers=1, connector=True)


def summed_loss(model: MultimodalModel, backend: Backend, batch: Varied, *, packed: bool) -> tuple[Tensor, Tensor]:
    """Padded to one shape where shapes must be static, and how many words are supervised."""
    static = shape(model.connector.queries, packed=packed) if backend.static_shapes else None
    places = place(batch.text, model.layout, static)
    blanks = [torch.zeros_like(grid[0]) for grid in random_features(1)]
    features = pad_pictures(batch.features, places, blanks) if backend.static_shapes else batch.features
    places, features = backend.move((places, features))
    hidden = model.hidden(places, features)
    return chunked_next_token_loss(
        hidden, head_of(model.language_model), places.labels, chunk=CHUNK, at_most=places.at_most
    )


def losses(
    backend: Backend, connector: ConnectorConfig, *, packed: bool = False, twice: bool = False
) -> Iterator[float]:
    """Train on one batch after another."""
    model = small_model(connector)
    if twice:
        checkpoint_activations(model, TWICE)
    backend.wrap(backend.place(model), []).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    # The warm-up begins at nothing, as rate_factor does.
    schedule = LambdaLR(optimiser, lambda step: min(step / 5, 1 / (step + 1) ** 0.5))
    for step in count():
        total, supervised = summed_loss(model, backend, varied(step, packed=packed), packed=packed)
        loss = total / supervised
        loss.backward()
        for parameter in model.parameters():
            # Weights that text alone does not reach decay all the same where a blank picture stands in its place.
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad(set_to_none=True)
        backend.finish_step()
        yield loss.item()


def gradients(backend: Backend, connector: ConnectorConfig, step: int) -> dict[str, Tensor]:
    model = small_model(connector)
    backend.place(model).train()
    total, _ = summed_loss(model, backend, varied(step, packed=True), packed=True)
    total.backward()
    backend.finish_step()
    return {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture
def xla() -> Backend:
    return open_backend("xla", HardwareConfig())


@pytest.fixture
def cpu() -> Backend:
    return open_backend("cpu", HardwareConfig())


@pytest.mark.parametrize(("connector", "packed"), [(MlpSettings(), False), (SVA, True)], ids=["mlp", "sva, packed"])
def test_losses_are_those_of_the_cpu_and_nothing_is_compiled_after_the_first_steps(
    xla: Backend, cpu: Backend, connector: ConnectorConfig, packed: bool
) -> None:
    found, compiled = [], []
    for loss in islice(losses(xla, connector, packed=packed), STEPS):
        found.append(loss)
        compiled.append(count_compilations())
    assert compiled[-1] == compiled[WARM_UP - 1] > 0
    expected = list(islice(losses(cpu, connector, packed=packed), STEPS))
    assert found == pytest.approx(expected, rel=1e-4)


def test_activations_computed_twice_give_the_same_losses_and_no_compilation_more(xla: Backend, cpu: Backend) -> None:
    found, compiled = [], []
    for loss in islice(losses(xla, SVA, twice=True), 8):
        found.append(loss)
        compiled.append(count_compilations())
    assert compiled[-1] == compiled[WARM_UP - 1]
    assert found == pytest.approx(list(islice(losses(cpu, SVA), 8)), rel=1e-4)


@pytest.mark.parametrize("connector", [SVA, RoutedSumSettings()], ids=lambda connector: connector.type)
def test_every_gradient_is_that_of_the_cpu(xla: Backend, cpu: Backend, connector: ConnectorConfig) -> None:
    found, expected = gradients(xla, connector, 2), gradients(cpu, connector, 2)
    assert found.keys() == expected.keys() and any(name.startswith("connector") for name in found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()), msg=name)


def test_the_embedding_that_is_also_the_head_stays_one(xla: Backend) -> None:
    model = small_model(MlpSettings())
    head, words = model.language_model.get_output_embeddings(), model.language_model.get_input_embeddings()
    assert head.weight is words.weight
    xla.place(model)
    assert head.weight is words.weight
    assert words.weight.device == xla.device
