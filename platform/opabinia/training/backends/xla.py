"""Training through PyTorch/XLA: one worker a host, which drives all its chips, and with them all chips of the slice, as one device.

Every worker runs the same program on its own rows; XLA's partitioner (SPMD) splits it over the chips and puts the sums over
them where they are needed. A group of workers whose chips reach each other this way is an island: a TPU slice, several slices
joined by Megascale, or, on a CPU, each process alone. Between islands gradients go through the hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from opabinia.training.backends.backend import Batch
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.exchange import mean_gradients_on_host, sum_on_host
from opabinia.training.backends.tensors import map_tensors, move_module
from opabinia.training.backends.xla_autocast import cast_attention
from opabinia.training.backends.xla_shards import gathered, is_split

_AXIS = "data"


@dataclass(frozen=True, slots=True)
class XlaBackend:
    """See `Backend`. `mesh` holds all chips of the island in one axis, over which rows, and sharded weights, are split."""

    device: torch.device
    mesh: Any
    computes_in: torch.dtype
    sharded: bool
    row_multiple: int
    replicas: int

    @property
    def precision(self) -> Literal["float32", "bfloat16"]:
        return "bfloat16" if self.computes_in == torch.bfloat16 else "float32"

    @property
    def static_shapes(self) -> bool:
        return True

    def seed(self, number: int) -> None:
        # Torch does not know of XLA's generator.
        torch.manual_seed(number)
        import_module("torch_xla").manual_seed(number)

    def place(self, model: nn.Module) -> nn.Module:
        return move_module(model, self.device)

    def wrap(self, model: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
        """The same model: the partitioner gathers each weight where it is used, so blocks need no mark."""
        if self.sharded:
            for parameter in model.parameters():
                _spmd().mark_sharding(parameter, self.mesh, _longest_split(parameter, self.mesh.size()))
        return model

    def move(self, batch: Batch) -> Batch:
        """Tensors whose first dimension the chips can share are split over them; the others are copied to all."""
        return map_tensors(batch, partial(_to, backend=self))

    def autocast(self) -> AbstractContextManager[object]:
        if self.computes_in == torch.float32:
            return nullcontext()
        cast_attention()
        return torch.autocast("xla", dtype=self.computes_in)

    def accumulating(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[object]:
        return nullcontext()

    def sum(self, value: Tensor) -> Tensor:
        """Within an island the program already computes with the rows of all its workers."""
        if self.replicas == 1:
            return value
        return sum_on_host(value) * self.replicas / dist.get_world_size()

    def share_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        if self.replicas > 1:
            mean_gradients_on_host(parameters)

    @property
    def scores_copies(self) -> bool:
        """Answers have every length, and each would be compiled."""
        return True

    @property
    def scoring_device(self) -> torch.device:
        return torch.device("cpu")

    def whole(self, tensor: Tensor) -> Tensor:
        return gathered(tensor) if is_split(tensor) else tensor.detach().cpu()

    def finish_step(self) -> None:
        import_module("torch_xla").sync()


def open_xla(config: HardwareConfig) -> XlaBackend:
    """On all chips of the island, after `start_runtime`. Raises ValueError where PyTorch/XLA was not started so."""
    runtime: Any = import_module("torch_xla.runtime")
    if not runtime.is_spmd():
        raise ValueError("hardware: xla was not started in this process; start its workers with XlaConfig")
    chips = int(runtime.global_runtime_device_count())
    computes_in = torch.bfloat16 if _wants_bfloat16(config, runtime.device_type()) else torch.float32
    return XlaBackend(
        device=import_module("torch_xla").device(),
        mesh=_spmd().Mesh(list(range(chips)), (chips,), (_AXIS,)),
        computes_in=computes_in,
        sharded=config.sharding == "sharded",
        row_multiple=int(runtime.addressable_runtime_device_count()),
        replicas=(dist.get_world_size() if dist.is_initialized() else 1) // int(runtime.process_count()),
    )


def count_compilations() -> int:
    """How many programs XLA has compiled in this process; where it grows after the first steps, some shape is not static."""
    found: Any = import_module("torch_xla.debug.metrics").metric_data("CompileTime")
    return int(found[0]) if found else 0


def _wants_bfloat16(config: HardwareConfig, device_type: str) -> bool:
    return config.precision == "bfloat16" or (config.precision == "auto" and device_type == "TPU")


def _to(tensor: Tensor, backend: XlaBackend) -> Tensor:
    if tensor.dim() == 0 or len(tensor) % backend.row_multiple:
        return tensor.to(backend.device)
    # minibatch: each worker has only its own rows of what is one tensor for all of the island.
    rows = (_AXIS, *[None] * (tensor.dim() - 1))
    split = _spmd().ShardingSpec(backend.mesh, rows, minibatch=True)
    model: Any = import_module("torch_xla.core.xla_model")
    return model.send_cpu_data_to_device([tensor], backend.device, input_sharding=split)[0]


def _longest_split(parameter: Tensor, chips: int) -> tuple[str | None, ...]:
    """Which dimension is split: the longest that all chips can share equally, and none of a vector, which is small."""
    whole: list[str | None] = [None] * parameter.dim()
    equal = [dim for dim, length in enumerate(parameter.shape) if length % chips == 0]
    if parameter.dim() > 1 and equal:
        whole[max(equal, key=lambda dim: parameter.shape[dim])] = _AXIS
    return tuple(whole)


def _spmd() -> Any:
    return import_module("torch_xla.distributed.spmd")
