"""Applying something to all tensors of a batch, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn


def map_tensors(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same dataclasses, mappings, lists and tuples with `change` applied to each tensor; other things as they are."""
    if isinstance(batch, Tensor):
        return change(batch)
    if is_dataclass(batch) and not isinstance(batch, type):
        kind: Any = type(batch)
        return kind(**{field.name: map_tensors(getattr(batch, field.name), change) for field in fields(batch)})
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, change) for key, value in cast("Mapping[Any, Any]", batch).items()}
    if isinstance(batch, list | tuple):
        parts = [map_tensors(part, change) for part in cast("list[Any]", batch)]
        return parts if isinstance(batch, list) else tuple(parts)
    return batch


def move_module(model: nn.Module, device: torch.device) -> nn.Module:
    """Move in place; a parameter that two modules share stays one, which `to` alone breaks on devices of another kind."""
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return model.to(device)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)
