"""What a checkpoint holds of a run: model, optimiser, schedule and random generators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from opabinia.training.checkpointing.frozen import is_below
from opabinia.training.checkpointing.optimiser_state import (
    optimiser_groups,
    optimiser_tensors,
    parameter_names,
    parameters_of,
)
from opabinia.training.checkpointing.random_state import get_random_state

STATE = "state.json"
MODEL, OPTIMISER, RANDOM = "model/", "optimiser/", "random/"
"""How the names of tensors in a checkpoint begin; those of random generators go on with the worker's number."""


@dataclass(frozen=True)
class TrainingState:
    """The living objects of a run that are saved, and changed in place by loading.

    model: not wrapped (no DistributedDataParallel, no compiled copy); its tensors plain, the same on all workers, or DTensors.
    optimiser: built on this model, after fully_shard where that is used.
    frozen: modules of the model (`language_model`, `encoders.siglip`) that nothing has trained since their weights were read
        from files -> digest of those weights. They are not saved.
    """

    model: nn.Module
    optimiser: Optimizer
    schedule: LRScheduler
    frozen: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))


def model_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name, those that are shared once, without the frozen.

    Raises ValueError when the optimiser trains a frozen one, or a module of `frozen` is not there.
    """
    kept = state.model.state_dict().keys()
    found: dict[str, Tensor] = dict(parameters_of(state.model))
    found |= {name: buffer for name, buffer in state.model.named_buffers() if name in kept}
    _check_frozen_are_there(state, found)
    return {name: tensor.detach() for name, tensor in found.items() if not is_below(name, state.frozen)}


def shared_tensors(state: TrainingState) -> dict[str, Tensor]:
    """All tensors of which the workers hold the same, or shards. Raises ValueError like the functions that it asks."""
    model = model_tensors(state)
    optimiser = optimiser_tensors(state.model, state.optimiser)
    return {f"{MODEL}{name}": tensor for name, tensor in model.items()} | {
        f"{OPTIMISER}{name}": tensor for name, tensor in optimiser.items()
    }


def own_tensors(state: TrainingState, rank: int) -> dict[str, Tensor]:
    """The tensors that only this worker has: where its random generators stand."""
    return {f"{RANDOM}{rank}/{name}": tensor for name, tensor in get_random_state(state.device).items()}


def settings_json(state: TrainingState) -> bytes:
    """The content of state.json: the optimiser's groups and the schedule. Raises ValueError when JSON cannot hold them."""
    groups = optimiser_groups(state.model, state.optimiser)
    schedule: dict[str, Any] = state.schedule.state_dict()
    return to_json({"optimiser": groups, "schedule": schedule}, "settings of optimiser and schedule")


def to_json(value: Mapping[str, Any], what: str) -> bytes:
    """Raises ValueError naming `what` when the value is no plain JSON, or holds NaN or infinity."""
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: cannot be saved as JSON ({error}); use numbers, texts, lists and dicts") from error


def _check_frozen_are_there(state: TrainingState, found: Mapping[str, Tensor]) -> None:
    for module in state.frozen:
        if not any(is_below(name, {module: ""}) for name in found):
            raise ValueError(f"frozen: {module} is no module of the model with weights; correct its name")
    for name in (name for group in parameter_names(state.model, state.optimiser) for name in group):
        if is_below(name, state.frozen):
            raise ValueError(f"frozen: {name} is trained by the optimiser; take its module out of frozen")
