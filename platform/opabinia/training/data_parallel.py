"""Workers that hold the same model and add up the gradients of their shares of each batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Together:
    """The workers of a run, as torch.distributed's default group when there are several."""

    rank: int = 0
    workers: int = 1

    def total(self, number: Number) -> Number:
        """The sum of what every worker gives."""
        if self.workers == 1:
            return number
        held = torch.tensor(number, dtype=torch.int64 if isinstance(number, int) else torch.float64)
        dist.all_reduce(held)
        return type(number)(held.item())

    def add_gradients(self, model: nn.Module) -> None:
        """Replace the gradients of every trained parameter by their sum over all workers; a worker without one adds nothing."""
        if self.workers == 1:
            return
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, summed in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(summed.view_as(gradient))
