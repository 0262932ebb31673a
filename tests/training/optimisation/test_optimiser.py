"""The optimiser of a stage: what it was asked to be, and what it tells of its rates."""

from __future__ import annotations

import math

import pytest
from torch import nn

from connectors.settings.sva import SvaSettings
from opabinia.training.optimisation.optimiser import build_optimiser, learning_rates
from tests.models.small import ENCODERS, small_model
from tests.training.stages import stage


def test_every_group_tells_its_rate_under_its_own_name() -> None:
    encoders = {name: nn.Linear(2, 2) for name in ENCODERS}
    rates = {"sva_in_llm": 2e-4, "encoders": 1e-5, f"encoders.{ENCODERS[1]}": 3e-5}
    config = stage(trains=("connector", "language_model", "encoders"), learning_rates=rates, lr=1e-3, warmup_steps=0)
    assert learning_rates(build_optimiser(small_model(SvaSettings()), config, encoders)) == {
        "lr/connector": 1e-3,
        "lr/sva_in_llm": 2e-4,
        "lr/language_model": 1e-3,
        "lr/encoders.burgess/caption-vit": 1e-5,
        "lr/encoders.burgess/dense-convnext": 3e-5,
    }


def test_all_rates_follow_one_schedule() -> None:
    config = stage(
        trains=("connector", "language_model"), learning_rates={"language_model": 1e-4}, warmup_steps=2, floor=0.1
    )
    optimiser = build_optimiser(small_model(SvaSettings()), config)
    told = []
    for _ in range(config.steps):
        told.append(learning_rates(optimiser))
        optimiser.step()
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert [one["lr/connector"] / 1e-3 for one in told] == pytest.approx([0.5, 1.0, *cosine])
    assert [one["lr/language_model"] / 1e-4 for one in told] == pytest.approx([0.5, 1.0, *cosine])


def test_adamw_is_the_one_that_was_asked_for() -> None:
    model = small_model(SvaSettings())
    (group, vectors) = build_optimiser(model, stage(betas=(0.8, 0.95), eps=1e-6, weight_decay=0.2)).adamw.param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.95), 1e-6, 0.2)
    assert vectors["weight_decay"] == 0


def test_one_step_of_the_first_gradient_moves_each_part_by_its_own_rate() -> None:
    """AdamW's first step is the rate times the gradient's sign, whatever its size."""
    model = small_model(SvaSettings())
    config = stage(trains=("connector", "language_model"), learning_rates={"language_model": 1e-4}, warmup_steps=0)
    optimiser = build_optimiser(model, config)
    watched = {"connector": model.connector.output[0].weight, "language_model": model.language_model.lm_head.weight}
    before = {name: weight.detach().clone() for name, weight in watched.items()}
    for weight in watched.values():
        weight.grad = weight.new_full(weight.shape, 7.0)
    optimiser.step()
    moved = {name: (before[name] - weight.detach()).mean().item() for name, weight in watched.items()}
    assert moved == pytest.approx({"connector": 1e-3, "language_model": 1e-4}, rel=1e-3)
