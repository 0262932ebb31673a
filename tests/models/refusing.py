"""Refuse everything for which a host would wait for its device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TOLD_BY_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class NoWaiting(TorchDispatchMode):
    """Raises RuntimeError where Python, or the shape of a result, is told what a tensor holds, and where one goes to another
    device and somebody waits until it is there.

    On the meta device nothing can be told at all, and everything that comes from the host is seen.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        name = func.overloadpacket.__name__
        if name in ("index", "index_put", "index_put_", "_unsafe_index", "_index_put_impl_"):
            waits = any(leaf.dtype in (torch.bool, torch.uint8) for leaf in tree_leaves(args[1]) if leaf is not None)
        elif name == "repeat_interleave":
            waits = kwargs.get("output_size") is None
        else:
            waits = bool(_TOLD_BY_VALUES.intersection(func.tags))
        if waits:
            raise RuntimeError(f"{func} waits for the device")
        result = func(*args, **kwargs)
        results = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        # Scalars of the host are part of the call; who says that nobody should wait has pinned what he sends.
        if (
            not kwargs.get("non_blocking")
            and len({tensor.device for tensor in [*tensors, *results] if tensor.dim()}) > 1
        ):
            raise RuntimeError(f"{func} takes something to another device")
        return result
