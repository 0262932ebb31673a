"""What the training loop may ask of the hardware."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")


class Backend(Protocol):
    """One worker's hardware: `seed` and `place` once, `wrap` once a stage, the rest in every step.

    A step is: `move` the batch, forward under `autocast`, backward (both `accumulating`), `share_gradients`, clip, the optimiser,
    `finish_step`. What is
    backpropagated should be `summed loss * replicas / sum(supervised tokens)`: that is the mean over all workers' tokens.
    """

    @property
    def device(self) -> torch.device: ...

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        """What the forward pass computes with."""
        ...

    @property
    def static_shapes(self) -> bool:
        """Whether every new shape costs a compilation, so that batches must be padded to few of them."""
        ...

    @property
    def row_multiple(self) -> int:
        """The rows of a worker's batch must be a multiple of this, for its devices share them."""
        ...

    @property
    def replicas(self) -> int:
        """Copies of the model over whose gradients the mean is taken."""
        ...

    def seed(self, number: int) -> None:
        """Set where torch's random generators begin, the device's among them."""
        ...

    def place(self, model: nn.Module) -> nn.Module:
        """Move the model here, before an optimiser is made; what parts of it share stays shared."""
        ...

    def wrap(self, model: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
        """What to call in training in the model's place: once a stage, after the parts that do not learn are frozen.

        blocks: the layers whose weights are gathered one at a time where weights are sharded.
        """
        ...

    def move(self, batch: Batch) -> Batch:
        """The batch (tensors in dataclasses, mappings and sequences) on the device, without waiting for it."""
        ...

    def autocast(self) -> AbstractContextManager[object]:
        """In which the forward pass runs."""
        ...

    def accumulating(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[object]:
        """Around forward and backward of one of several parts of a step: gradients need not be shared before the last."""
        ...

    def sum(self, value: Tensor) -> Tensor:
        """The sum over the replicas, of each replica's own value."""
        ...

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """After the backward passes of a step, where the wrapper has not: take the mean over the replicas."""
        ...

    @property
    def scores_copies(self) -> bool:
        """Whether one worker cannot call the model that is trained, so that another, of plain tensors, must answer for it."""
        ...

    @property
    def scoring_device(self) -> torch.device:
        """Where that other model answers."""
        ...

    def whole(self, tensor: Tensor) -> Tensor:
        """All of a parameter of which workers may hold parts; every worker must ask."""
        ...

    def finish_step(self) -> None:
        """After the optimiser: start what was only noted down so far."""
        ...
