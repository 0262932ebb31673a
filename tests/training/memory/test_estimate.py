"""The estimate against what torch really holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from connectors.settings.mlp import MlpSettings
from opabinia.models.activation_checkpointing import checkpoint_activations
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.training.memory.estimate import MemoryFacts, Precision, estimate_memory, memory_facts
from opabinia.training.optimisation.optimiser import build_optimiser
from opabinia.training.recipe.stages import StageConfig
from tests.models.small import small_model

FACTS = MemoryFacts(
    stage="tune",
    device="cuda:0",
    workers=1,
    sharded=False,
    precision="float32",
    batch=16,
    rows=8,
    tokens=512,
    weights=4_000_000,
    trained=3_000_000,
    encoders=1_000_000,
    layers=4,
    width=64,
    inner_width=176,
    vocabulary=1000,
    language_model_learns=True,
    layers_twice=0,
)


def stage(*trains: str) -> StageConfig:
    settings = {"name": "tune", "data": "d", "trains": trains, "steps": 4, "batch": 16, "lr": 1e-3, "base_batch": 16}
    return StageConfig.model_validate(settings)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def kept_by_autograd(layers: int, *, learns: bool, precision: Precision) -> int:
    """Bytes of the storages that the graph of a small Llama keeps, besides weights and copies of them."""
    config = LlamaConfig(
        hidden_size=96, intermediate_size=256, num_hidden_layers=layers, num_attention_heads=4, vocab_size=50
    )
    model = LlamaForCausalLM(config).requires_grad_(learns)
    shapes = {shape for weight in model.parameters() for shape in (weight.shape, weight.shape[::-1])}
    kept = dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        if tensor.shape not in shapes:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    given_to_it = torch.randn(2, 130, 96, requires_grad=True)
    hooks: Any = torch.autograd.graph.saved_tensors_hooks
    with hooks(keep, _as_it_is), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        held = model.model(inputs_embeds=given_to_it, use_cache=False)
    assert held is not None
    return sum(kept.values())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("learns", [True, False])
def test_the_activations_of_a_layer_are_those_that_autograd_keeps(learns: bool, precision: Precision) -> None:
    counts = [kept_by_autograd(layers, learns=learns, precision=precision) for layers in (1, 3)]
    facts = replace(FACTS, rows=2, tokens=130, width=96, inner_width=256, layers=2, precision=precision)
    estimate = estimate_memory(replace(facts, language_model_learns=learns))
    assert estimate.activations == pytest.approx(counts[1] - counts[0], rel=0.05)


def test_weights_gradients_and_moments_are_those_of_a_real_step() -> None:
    model = small_model(MlpSettings())
    optimiser = build_optimiser(model, stage("connector"))
    for parameter in optimiser.parameters:
        parameter.grad = torch.ones_like(parameter)
    estimate = estimate_memory(memory_facts(model, stage("connector"), device="cpu", workers=1, rows=4, tokens=50))
    optimiser.adamw.step()
    moments = [value for state in optimiser.adamw.state.values() for value in state.values() if value.dim()]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert estimate.weights == sum(parameter.nbytes for parameter in model.parameters())
    assert estimate.gradients == sum(gradient.nbytes for gradient in gradients)
    assert estimate.optimiser == sum(moment.nbytes for moment in moments)


def test_facts_of_a_model_are_read_from_it() -> None:
    model = small_model(MlpSettings())
    build_optimiser(model, stage("language_model"))
    checkpoint_activations(model, ActivationCheckpointing(decoder_layers=2))
    facts = memory_facts(model, stage("language_model"), device="cpu", workers=2, rows=4, tokens=50)
    config: Any = model.language_model.config
    assert (facts.layers, facts.layers_twice) == (config.num_hidden_layers, -(-config.num_hidden_layers // 2))
    assert (facts.width, facts.inner_width) == (config.hidden_size, config.intermediate_size)
    assert facts.language_model_learns
    assert facts.trained < facts.weights


@given(rows=st.integers(1, 64), tokens=st.integers(1, 4096), layers=st.integers(1, 48))
def test_more_rows_take_more_and_layers_computed_twice_never_more(rows: int, tokens: int, layers: int) -> None:
    facts = replace(FACTS, rows=rows, tokens=tokens, layers=layers)
    whole = estimate_memory(facts)
    assert estimate_memory(replace(facts, rows=2 * rows)).activations == 2 * whole.activations
    twice = estimate_memory(replace(facts, layers_twice=layers))
    assert layers == 1 or twice.activations < whole.activations


@given(workers=st.integers(1, 64))
def test_shards_share_what_belongs_to_the_model_s_weights_and_nothing_else(workers: int) -> None:
    whole, shared = (estimate_memory(replace(FACTS, workers=workers, sharded=sharded)) for sharded in (False, True))
    assert shared.optimiser == whole.optimiser // workers
    assert shared.weights - FACTS.encoders == (whole.weights - FACTS.encoders) // workers
    assert (shared.activations, shared.logits) == (whole.activations, whole.logits)


def test_logits_in_chunks_take_those_of_a_chunk() -> None:
    assert estimate_memory(FACTS).logits == 8 * 512 * 1000 * 12
    assert estimate_memory(replace(FACTS, logit_positions=1024)).logits == 1024 * 1000 * 12
