"""What PyTorch/XLA's autocast leaves out."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@cache
def cast_attention() -> torch.library.Library:
    """Have autocast on XLA bring what attention compares to one type, as it does on CPUs and GPUs.

    Without it, queries and keys that were turned by float32 angles stay float32 beside values in bfloat16, and attention refuses them.
    It lasts as long as what is returned.
    """
    library = torch.library.Library("aten", "IMPL")
    library.impl("scaled_dot_product_attention", _attention, "AutocastXLA")
    return library


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *more: Any, **settings: Any
) -> Tensor:
    kind = torch.get_autocast_dtype("xla")
    if attn_mask is not None and attn_mask.is_floating_point():
        attn_mask = attn_mask.to(kind)
    with torch.autocast("xla", enabled=False):
        return functional.scaled_dot_product_attention(
            query.to(kind), key.to(kind), value.to(kind), attn_mask, *more, **settings
        )
