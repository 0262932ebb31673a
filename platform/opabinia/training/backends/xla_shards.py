"""Tensors that PyTorch/XLA's partitioner splits over chips."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor


def is_split(tensor: Tensor) -> bool:
    """Whether no chip holds all of it; of what is not computed yet, that is not known."""
    return tensor.device.type == "xla" and _compiled()._get_xla_sharding_spec(tensor) not in ("", "{replicated}")


def gathered(tensor: Tensor) -> Tensor:
    """All of a tensor of PyTorch/XLA, split or not, on the host. Every worker must ask, for it takes the chips of all.

    Each shape is compiled once; PyTorch/XLA itself would compile again whenever it is asked for a split tensor.
    """
    # A product, for a sum would lose the sign of zero, and a copy has the marks of what it was copied from.
    product = tensor.detach() * 1
    kind: Any = import_module("torch_xla.distributed.spmd").ShardingType
    _compiled()._xla_mark_sharding(product, _compiled().OpSharding([], [], [], int(kind.REPLICATED)))
    return product.cpu()


def split_like(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor of the same shape on the same device, split as the other is."""
    _compiled()._xla_mark_sharding(tensor, _compiled()._get_xla_op_sharding(other))
    return tensor


def _compiled() -> Any:
    return import_module("torch_xla")._XLAC
