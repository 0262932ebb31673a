"""Sums over the workers through host memory, for hardware whose own links do not reach every worker."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from opabinia.training.backends.xla_shards import gathered


def sum_on_host(value: Tensor) -> Tensor:
    """The sum of every worker's `value`, on the same device; waits for the device and for the slowest worker."""
    held = gathered(value) if value.device.type == "xla" else value.detach().cpu()
    dist.all_reduce(held)
    return held.to(value.device)


def mean_gradients_on_host(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the workers, all in one message; every worker must have the same ones."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    shared = sum_on_host(torch.cat([gradient.flatten() for gradient in gradients])) / dist.get_world_size()
    for gradient, part in zip(gradients, torch.split_with_sizes(shared, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
