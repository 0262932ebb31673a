"""Who learns in a stage, and which group each parameter is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.optimisation.groups import model_parts, parameter_groups
from tests.models.small import ENCODERS, small_model
from tests.training.stages import stage

FIRST, SECOND = (f"encoders.{name}" for name in ENCODERS)


def encoder() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


@pytest.fixture(scope="module")
def model() -> MultimodalModel:
    return small_model(SvaSettings())


@pytest.fixture
def parts(model: MultimodalModel) -> dict[str, nn.Module]:
    return model_parts(model, {name: encoder() for name in ENCODERS})


def members(parts: Mapping[str, nn.Module], **settings: Any) -> dict[str, set[int]]:
    """Group name -> ids of its parameters."""
    groups: dict[str, set[int]] = {}
    for group in parameter_groups(parts, stage(**settings)):
        groups.setdefault(group["name"], set()).update(map(id, group["params"]))
    return groups


def ids(module: nn.Module) -> set[int]:
    return set(map(id, module.parameters()))


def test_the_connector_is_all_of_it_with_its_layers_inside_the_language_model(
    model: MultimodalModel, parts: Any
) -> None:
    assert members(parts, trains=("connector",)) == {"connector": ids(model.connector)}


def test_sva_layers_inside_the_language_model_are_told_from_what_stands_before_it(
    model: MultimodalModel, parts: Any
) -> None:
    inner = {id(p) for name, p in model.named_parameters() if name.startswith("connector.inner.")}
    groups = members(parts, trains=("connector", "sva_in_llm"))
    assert groups == {"connector": ids(model.connector) - inner, "sva_in_llm": inner}
    assert members(parts, trains=("sva_in_llm",)) == {"sva_in_llm": inner}


def test_sva_is_queries_and_layers_but_no_projection(model: MultimodalModel, parts: Any) -> None:
    projections = {
        id(p)
        for name, p in model.named_parameters()
        if name.startswith(("connector.projections.", "connector.output."))
    }
    groups = members(parts, trains=("connector",), learning_rates={"sva": 1e-4})
    assert groups == {"connector": projections, "sva": ids(model.connector) - projections}


def test_encoders_learn_together_or_by_name(parts: Any) -> None:
    assert members(parts, trains=("encoders",)) == {FIRST: ids(parts[FIRST]), SECOND: ids(parts[SECOND])}
    assert members(parts, trains=(SECOND,)) == {SECOND: ids(parts[SECOND])}


def test_a_learnt_row_separator_learns_with_the_connector() -> None:
    model = small_model(MlpSettings())
    model.row_separator = nn.Parameter(torch.zeros(128))
    assert id(model.row_separator) in members(model_parts(model, {}), trains=("connector",))["connector"]


def test_what_does_not_learn_is_frozen_though_it_learnt_before(model: MultimodalModel, parts: Any) -> None:
    for module in parts.values():
        module.requires_grad_()
    learning = members(parts, trains=(FIRST, "sva_in_llm"))
    every = {id(p): p.requires_grad for module in parts.values() for p in module.parameters()}
    assert {key for key, learns in every.items() if learns} == set.union(*learning.values())


def test_rates_come_from_the_nearest_that_is_stated_scaled_by_the_batch(parts: Any) -> None:
    rates = {"sva": 1e-4, "encoders": 2e-5, SECOND: 1e-5}
    config = stage(trains=("connector", "encoders", "language_model"), learning_rates=rates, batch=16, lr=1e-3)
    found = {group["name"]: group["lr"] for group in parameter_groups(parts, config)}
    stated = {"connector": 1e-3, "sva": 1e-4, FIRST: 2e-5, SECOND: 1e-5, "language_model": 1e-3}
    assert found == pytest.approx({name: 2 * rate for name, rate in stated.items()})


def test_only_matrices_decay(parts: Any) -> None:
    for group in parameter_groups(parts, stage(trains=("connector", FIRST), weight_decay=0.1)):
        assert {parameter.dim() > 1 for parameter in group["params"]} == {group["weight_decay"] == 0.1}
        assert group["weight_decay"] in (0.1, 0.0)


def test_a_rate_for_a_part_that_this_model_lacks_is_not_used() -> None:
    """So that a sweep can compare connectors and encoders with one set of rates."""
    plain = model_parts(small_model(MlpSettings()), {})
    assert set(members(plain, trains=("connector",), learning_rates={"sva_in_llm": 1e-4})) == {"connector"}


@pytest.mark.parametrize(
    ("trains", "line"),
    [
        (("connector", "sva_in_llm"), "trains.1: sva_in_llm: this connector has no SVA layers inside the language model; use"),
        (("sva",), "trains.0: sva: this connector has no SVA layers; use connector sva"),
        (("encoders",), "trains.0: encoders: no encoder can learn here, where stored features stand for them all"),
        ((FIRST,), f"trains.0: {FIRST}: no encoder can learn here"),
    ],
)  # fmt: skip
def test_parts_that_are_not_there_are_refused_with_the_fix(trains: tuple[str, ...], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        parameter_groups(model_parts(small_model(MlpSettings()), {}), stage(trains=trains))


def test_sva_without_layers_inside_the_language_model_says_so() -> None:
    before = model_parts(small_model(SvaSettings(in_llm_count=0)), {})
    assert set(members(before, trains=("connector", "sva"))) == {"connector", "sva"}
    with pytest.raises(
        ValueError, match="no SVA layers inside the language model; use connector sva with in_llm_count above 0"
    ):
        parameter_groups(before, stage(trains=("sva_in_llm",)))


def test_an_encoder_that_is_not_in_this_model_is_refused_with_the_nearest() -> None:
    only = {FIRST: encoder()}
    with pytest.raises(ValueError, match=r"unknown part of this model 'encoders\.burgess/mim-vit'; did you mean"):
        parameter_groups(only, stage(trains=("encoders.burgess/mim-vit",)))


PARTS = ("connector", "sva", "sva_in_llm", "language_model", FIRST, SECOND)


@settings(deadline=None, max_examples=40)
@given(
    trains=st.lists(st.sampled_from((*PARTS, "encoders")), min_size=1, unique=True), own=st.sets(st.sampled_from(PARTS))
)
def test_each_parameter_that_learns_is_in_one_group(trains: list[str], own: set[str]) -> None:
    inner, query = nn.Linear(2, 2), nn.Linear(2, 2)
    sva = nn.ModuleList([inner, query])
    parts = {"connector": nn.ModuleList([nn.Linear(2, 2), sva]), "sva": sva, "sva_in_llm": inner}
    parts |= {"language_model": encoder(), FIRST: encoder(), SECOND: encoder()}
    covered = {
        "connector": {"connector", "sva", "sva_in_llm"},
        "sva": {"sva", "sva_in_llm"},
        "encoders": {FIRST, SECOND},
    }
    learning = {inside for part in trains for inside in covered.get(part, {part})}
    groups = parameter_groups(parts, stage(trains=trains, learning_rates=dict.fromkeys(own & learning, 1e-4)))
    inside = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(inside) == len(set(inside))
    assert set(inside) == set.union(*(ids(parts[name]) for name in learning))
