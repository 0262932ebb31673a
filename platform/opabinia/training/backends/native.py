"""Any device that torch drives itself, one to a worker: models are copied or sharded over torch.distributed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from opabinia.training.backends.backend import Batch
from opabinia.training.backends.tensors import map_tensors, move_module

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule


@dataclass(frozen=True, slots=True)
class NativeBackend:
    """See `Backend`. The default process group of torch.distributed holds all workers; there is none where one trains alone."""

    device: torch.device
    computes_in: torch.dtype
    sharded: bool

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        return "bfloat16" if self.computes_in == torch.bfloat16 else "float32"

    @property
    def static_shapes(self) -> bool:
        return False

    @property
    def row_multiple(self) -> int:
        return 1

    @property
    def replicas(self) -> int:
        return dist.get_world_size() if dist.is_initialized() else 1

    def seed(self, number: int) -> None:
        torch.manual_seed(number)

    def place(self, model: nn.Module) -> nn.Module:
        return move_module(model, self.device)

    def wrap(self, model: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
        if self.replicas == 1:
            return model
        if self.sharded:
            return _sharded(model, blocks, self.device, self.computes_in)
        return _replicated(model, self.device)

    def move(self, batch: Batch) -> Batch:
        return map_tensors(batch, partial(_to, device=self.device))

    def autocast(self) -> AbstractContextManager[object]:
        if self.computes_in == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.computes_in)

    def accumulating(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[object]:
        """Sharded gradients are shared part by part all the same: whole ones would take as much memory as the weights."""
        from torch.nn.parallel import DistributedDataParallel

        return nullcontext() if last or not isinstance(wrapped, DistributedDataParallel) else wrapped.no_sync()

    def sum(self, value: Tensor) -> Tensor:
        if self.replicas == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """The wrapper did it during the backward pass."""

    @property
    def scores_copies(self) -> bool:
        return self.sharded and self.replicas > 1

    @property
    def scoring_device(self) -> torch.device:
        return self.device

    def whole(self, tensor: Tensor) -> Tensor:
        from torch.distributed.tensor import DTensor

        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def finish_step(self) -> None:
        """Everything was started when it was asked for."""


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    # A copy from pageable memory makes the host wait.
    ready = tensor.pin_memory() if device.type == "cuda" and not tensor.is_cuda else tensor
    return ready.to(device, non_blocking=True)


def _replicated(model: nn.Module, device: torch.device) -> nn.Module:
    from torch.nn.parallel import DistributedDataParallel

    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True, forward_sync_buffers=False)


def _sharded(
    model: nn.Module, blocks: Sequence[nn.Module], device: torch.device, computes_in: torch.dtype
) -> nn.Module:
    """Weights are kept in float32 and gathered in the type that is computed in; gradients are summed in float32."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    # A former stage sharded it; what is frozen is looked up in every step.
    if isinstance(model, FSDPModule):
        return model
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=computes_in, reduce_dtype=torch.float32)
    shard: Any = partial(fully_shard, mesh=mesh, mp_policy=policy)
    _prefetch([shard(block) for block in blocks])
    return shard(model)


def _prefetch(blocks: Sequence[FSDPModule]) -> None:
    """While one layer computes, the next one's weights are already gathered, in both directions."""
    for one, following in pairwise(blocks):
        one.set_modules_to_forward_prefetch([following])
        following.set_modules_to_backward_prefetch([one])
