"""The operations that a plan tells are those that torch counts while a real model trains, but for what nobody needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from connectors.settings.sva import SvaSettings
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.loading import load_encoder
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.language_models import load_language_model
from opabinia.sweeps.planning.arithmetic import trial_arithmetic
from opabinia.sweeps.planning.flops import (
    connector_flops,
    counted,
    decoder_shape,
    encoder_flops,
    transformer_flops,
)
from opabinia.training.optimisation.optimiser import set_learning
from tests.models.small import CONNECTORS, LANGUAGE_MODEL, random_features, small_model
from tests.sweeps.planning.runs import run_of, seen
from tests.training.stages import stage

TOKENS = 24


def language_model() -> Any:
    model: Any = load_language_model(LANGUAGE_MODEL)
    model.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize("learns", [False, True])
def test_a_decoder_needs_what_torch_counts_but_for_the_attention_to_what_comes_later(learns: bool) -> None:
    model = language_model().requires_grad_(learns)
    shape = decoder_shape(model)
    shown = torch.randn(1, TOKENS, shape.width, requires_grad=True)
    later = 2 * TOKENS * (TOKENS - 1) * shape.layers * shape.attention
    with torch.no_grad():
        assert counted(lambda: model(inputs_embeds=shown)) == shape.forward(TOKENS, TOKENS) + later
    whole = counted(lambda: model(inputs_embeds=shown).logits.sum().backward())
    assert whole == shape.training(TOKENS, TOKENS, float(learns)) + 3 * later


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.type)
@pytest.mark.parametrize("trains", [("connector",), ("connector", "language_model")])
def test_a_stage_needs_what_a_real_step_takes(connector: ConnectorConfig, trains: tuple[str, ...]) -> None:
    model = small_model(connector)
    model.language_model.set_attn_implementation("eager")  # type: ignore[operator]
    one = stage(trains=trains, batch=1, steps=1)
    set_learning(model, one)
    ids = torch.tensor([[-200, *range(3, 13)]])
    features = random_features(1)

    def step() -> None:
        loss = model(ids, features, labels=ids.clamp(min=1)).loss
        assert loss is not None
        loss.backward()

    shape = decoder_shape(model.language_model)
    tokens = 10 + model.connector.queries
    (planned,) = trial_arithmetic(run_of(connector=connector, stages=(one,)), seen(text=10)).stages
    later = 2 * tokens * (tokens - 1) * shape.layers * shape.attention
    unsupervised = 2 * model.connector.queries * shape.vocabulary * shape.width
    factor = 3 if "language_model" in trains else 2
    # The mean embedding of the text around a picture is not planned: a ten-thousandth.
    assert counted(step) == pytest.approx(planned.flops + 3 * later + factor * unsupervised, rel=2e-4)


def test_what_is_read_again_inside_the_language_model_counts() -> None:
    inside, outside = (small_model(SvaSettings(in_llm_count=count)).to("meta") for count in (2, 0))
    assert connector_flops(inside, through=False) > connector_flops(outside, through=False)


def test_gradients_that_flow_on_to_encoders_count() -> None:
    model = small_model(SvaSettings()).to("meta").requires_grad_(True)
    assert connector_flops(model, through=True) > connector_flops(model, through=False)


def test_a_frozen_connector_is_counted_forward_only() -> None:
    model = small_model(SvaSettings(in_llm_count=0)).to("meta")
    learning = connector_flops(model.requires_grad_(True), through=False)
    assert connector_flops(model.requires_grad_(False), through=False) < learning / 2


def test_an_encoder_that_ships_is_counted_as_it_runs() -> None:
    encoder = load_encoder("burgess/caption-vit")
    pixels = torch.zeros(1, 3, 64, 64)
    assert encoder_flops(find_encoder("burgess/caption-vit")) == (counted(lambda: encoder(pixels)), True)


def test_of_a_plain_transformer_the_size_tells_what_counting_would() -> None:
    entry = find_encoder("cambrian/siglip-so-384")
    flops, was_counted = encoder_flops(entry)
    assert was_counted
    assert transformer_flops(entry) == pytest.approx(flops, rel=0.01)


def test_an_encoder_without_a_configuration_here_is_told_from_its_size() -> None:
    entry = find_encoder("cambrian/dinov2-l-336")
    assert encoder_flops(entry) == (transformer_flops(entry), False)
