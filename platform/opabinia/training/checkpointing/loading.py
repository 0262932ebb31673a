"""Giving a run back what a checkpoint holds, with as many workers as there are now."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.state_dict_loader import load  # pyright: ignore[reportUnknownVariableType]

from opabinia.training.checkpointing.failures import first_failure
from opabinia.training.checkpointing.frozen import check_frozen
from opabinia.training.checkpointing.group import Workers
from opabinia.training.checkpointing.optimiser_state import check_groups, load_optimiser, room_for
from opabinia.training.checkpointing.random_state import set_random_state
from opabinia.training.checkpointing.reader import Opened, ShardReader, open_checkpoint
from opabinia.training.checkpointing.state import MODEL, OPTIMISER, RANDOM, TrainingState, model_tensors
from opabinia.training.checkpointing.table import StoredTensor

Value = TypeVar("Value")

# One process without a group is an ordinary case here.
warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded.

    facts: those that were saved with it, the data position among them.
    same_randomness: whether this worker's random generators stand where they stood: not when there were fewer workers.
    """

    step: int
    facts: Mapping[str, Any]
    same_randomness: bool


def load_state(folder: str, state: TrainingState, workers: Workers) -> Loaded:
    """Change the objects of `state` in place to what the checkpoint in `folder` holds; all workers call this together.

    Tensors are the same to the last bit, whatever the number of workers and their sharding then and now. Raises ValueError on
    all workers, and leaves `state` half changed, when a file is missing or damaged; and leaves it as it was when it does
    not fit: other parameters, shapes, dtypes, optimiser groups or frozen weights.
    """
    opened = workers.all(lambda: _open_fitting(folder, state))
    settings = json.loads(opened.settings)
    targets = _targets(opened, state, workers.rank)
    _read(targets, opened, workers)
    load_optimiser(state.model, state.optimiser, settings["optimiser"], _below(targets, OPTIMISER))
    state.schedule.load_state_dict(settings["schedule"])
    random = _below(targets, f"{RANDOM}{workers.rank}/")
    set_random_state(random, state.device)
    return Loaded(opened.manifest.step, opened.manifest.facts, same_randomness=bool(random))


def _open_fitting(folder: str, state: TrainingState) -> Opened:
    opened = open_checkpoint(folder)
    check_frozen(opened.manifest.frozen, state.frozen, folder)
    _check_fit(_below(opened.table, MODEL), model_tensors(state), folder)
    check_groups(state.model, state.optimiser, json.loads(opened.settings)["optimiser"], folder)
    return opened


def _check_fit(stored: Mapping[str, StoredTensor], present: Mapping[str, Tensor], folder: str) -> None:
    for name in sorted({*stored, *present}):
        if name not in stored:
            raise ValueError(f"{folder}: does not hold {name}; open the model that was saved")
        if name not in present:
            raise ValueError(f"{folder}: holds {name}, which this model does not have; open the model that was saved")
        saved, here = stored[name], present[name]
        if saved.shape != tuple(here.shape) or saved.torch_dtype != here.dtype:
            raise ValueError(
                f"{folder}: {name} is {list(saved.shape)} {saved.torch_dtype}, this model's {list(here.shape)} {here.dtype};"
                " open the model that was saved"
            )


def _targets(opened: Opened, state: TrainingState, rank: int) -> dict[str, Tensor]:
    """The tensors to read into: the model's own, and new ones for the optimiser and this worker's random generators."""
    own = f"{RANDOM}{rank}/"
    model = model_tensors(state)
    optimiser = room_for(state.model, _below(opened.table, OPTIMISER))
    random = {name: tensor for name, tensor in opened.table.items() if name.startswith(own)}
    return (
        {f"{MODEL}{name}": tensor for name, tensor in model.items()}
        | {f"{OPTIMISER}{name}": tensor for name, tensor in optimiser.items()}
        | {name: _empty(tensor) for name, tensor in random.items()}
    )


def _read(targets: dict[str, Any], opened: Opened, workers: Workers) -> None:
    try:
        load(
            targets,
            storage_reader=ShardReader(opened),
            planner=DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False),
            process_group=workers.writing,
            no_dist=workers.writing is None,
        )
    except CheckpointException as error:
        raise ValueError(first_failure(error)) from error


def _empty(stored: StoredTensor) -> Tensor:
    return torch.empty(stored.shape, dtype=stored.torch_dtype)


def _below(named: Mapping[str, Value], start: str) -> dict[str, Value]:
    return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}
