"""An optimiser's state by parameter names instead of numbers: its tensors apart, everything else as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from opabinia.training.backends.xla_shards import is_split, split_like
from opabinia.training.checkpointing.table import StoredTensor

Groups = list[dict[str, Any]]

# Settings of the hardware, which may be another after loading, and not of what is computed.
_HOW = frozenset({"foreach", "fused", "capturable"})


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """By name, those that are shared once, sharded where they are sharded at rest."""
    # FSDP leaves parameters gathered after a forward pass without a backward one, until somebody asks for a state dict.
    model.state_dict()
    return dict(model.named_parameters())


def parameter_names(model: nn.Module, optimiser: Optimizer) -> list[list[str]]:
    """The names in `model` of each group's parameters. Raises ValueError when one is not the model's."""
    names = {id(parameter): name for name, parameter in parameters_of(model).items()}
    try:
        return [[names[id(parameter)] for parameter in group["params"]] for group in optimiser.param_groups]
    except KeyError:
        raise ValueError("optimiser: trains a parameter that the model does not hold; build it on this model") from None


def optimiser_tensors(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """`PARAMETER/KEY` -> tensor, for all that the optimiser keeps for each parameter. Raises ValueError for other things."""
    tensors: dict[str, Tensor] = {}
    for name, state in _states(model, optimiser).items():
        for key, value in state.items():
            if not isinstance(value, Tensor):
                raise ValueError(
                    f"optimiser: keeps a {type(value).__name__} as {key} of {name}; only tensors can be saved"
                )
            tensors[f"{name}/{key}"] = value
    return tensors


def optimiser_groups(model: nn.Module, optimiser: Optimizer) -> Groups:
    """Each group's settings (learning rate, decay …) and the names of its parameters, as JSON has them."""
    names = parameter_names(model, optimiser)
    return [{**group, "params": names[place]} for place, group in enumerate(optimiser.param_groups)]


def room_for(model: nn.Module, stored: Mapping[str, StoredTensor]) -> dict[str, Tensor]:
    """Empty tensors to load `stored` (`PARAMETER/KEY`) into: sharded like the parameter where they have its shape."""
    parameters = parameters_of(model)
    return {name: _room(parameters[name.rpartition("/")[0]], tensor) for name, tensor in stored.items()}


def check_groups(model: nn.Module, optimiser: Optimizer, groups: Groups, where: str) -> None:
    """Raises ValueError when the groups of the checkpoint `where` are not this optimiser's."""
    if [group["params"] for group in groups] != parameter_names(model, optimiser):
        raise ValueError(f"{where}: its optimiser trained other parameters or in other groups; open the same stage")


def load_optimiser(model: nn.Module, optimiser: Optimizer, groups: Groups, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimiser back what `optimiser_tensors` and `optimiser_groups` told."""
    names = [name for group in parameter_names(model, optimiser) for name in group]
    numbers = {name: number for number, name in enumerate(names)}
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, _, key = name.rpartition("/")
        state.setdefault(numbers[parameter], {})[key] = tensor
    present: Groups = optimiser.state_dict()["param_groups"]
    restored = [_restored(now, saved) for now, saved in zip(present, groups, strict=True)]
    optimiser.load_state_dict({"state": state, "param_groups": restored})


def _states(model: nn.Module, optimiser: Optimizer) -> dict[str, dict[str, Any]]:
    names = parameter_names(model, optimiser)
    states: dict[str, dict[str, Any]] = {}
    for place, group in enumerate(optimiser.param_groups):
        for name, parameter in zip(names[place], group["params"], strict=True):
            states[name] = cast("dict[str, Any]", optimiser.state.get(parameter, {}))
    return states


def _restored(present: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The saved settings, tuples where they were tuples; settings that a newer torch added keep their present value."""
    settings = {key: _like(present.get(key), value) for key, value in saved.items() if key not in {"params", *_HOW}}
    return {**present, **settings}


def _like(present: Any, saved: Any) -> Any:
    return tuple(saved) if isinstance(present, tuple) else saved


def _room(parameter: nn.Parameter, stored: StoredTensor) -> Tensor:
    if tuple(parameter.shape) != stored.shape:
        return torch.empty(stored.shape, dtype=stored.torch_dtype)
    room = torch.empty_like(parameter, dtype=stored.torch_dtype, requires_grad=False)
    return split_like(room, parameter) if is_split(parameter) else room
