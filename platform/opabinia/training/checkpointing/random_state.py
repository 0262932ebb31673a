"""Where this process's random generators stand, as tensors: torch's on the CPU and on the device, Python's and NumPy's."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor


class _Generator(NamedTuple):
    get: Callable[[], Tensor]
    set: Callable[[Tensor], None]


def get_random_state(device: torch.device) -> dict[str, Tensor]:
    """Name of the generator -> its state. `device` is where the model computes; a device's generator is saved beside the CPU's."""
    return {name: generator.get() for name, generator in _generators(device).items()}


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators that there are here to those of `state` that have the same name."""
    for name, generator in _generators(device).items():
        if name in state:
            generator.set(state[name])


def _generators(device: torch.device) -> dict[str, _Generator]:
    everywhere = {
        "torch": _Generator(torch.get_rng_state, torch.set_rng_state),
        "python": _Generator(_python_state, _set_python_state),
        "numpy": _Generator(_numpy_state, _set_numpy_state),
    }
    return everywhere if device.type == "cpu" else everywhere | {device.type: _of_device(device)}


def _of_device(device: torch.device) -> _Generator:
    if device.type == "xla":
        model: Any = import_module("torch_xla.core.xla_model")
        return _Generator(lambda: _number(model.get_rng_state()), partial(_set_number, model.set_rng_state))
    module: Any = torch.get_device_module(device)
    return _Generator(module.get_rng_state, module.set_rng_state)


def _number(state: int) -> Tensor:
    """An unsigned number of 64 bits, as the signed one of the same bits."""
    return torch.tensor(state - 2**64 if state >= 2**63 else state)


def _set_number(use: Callable[[int], None], state: Tensor) -> None:
    use(int(state.item()) % 2**64)


def _python_state() -> Tensor:
    """The Mersenne Twister's 625 words, and the second half of the last pair of normal numbers (NaN when it was used)."""
    _, words, gauss = random.getstate()
    return torch.tensor([*words, float("nan") if gauss is None else gauss], dtype=torch.float64)


def _set_python_state(state: Tensor) -> None:
    values = cast("list[float]", state.tolist())
    *words, gauss = values
    random.setstate((3, tuple(map(int, words)), None if gauss != gauss else gauss))


def _numpy_state() -> Tensor:
    """The legacy global generator's 624 words, position, whether a normal number is waiting, and that number."""
    state: Any = np.random.get_state()
    _, words, position, waiting, gauss = state
    return torch.tensor([*words.tolist(), position, waiting, gauss], dtype=torch.float64)


def _set_numpy_state(state: Tensor) -> None:
    values = cast("list[float]", state.tolist())
    *words, position, waiting, gauss = values
    np.random.set_state(("MT19937", np.array(words, dtype=np.uint32), int(position), int(waiting), gauss))
