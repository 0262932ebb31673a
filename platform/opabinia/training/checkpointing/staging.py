"""A copy of this worker's share of the tensors in host memory, which the background writes while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, WriteItem
from torch.distributed.tensor import DTensor

from opabinia.training.backends.xla_shards import gathered, is_split
from opabinia.training.checkpointing.group import Workers


class StagedTensors(DefaultSavePlanner):
    """The planner of torch.distributed.checkpoint, on copies: it plans and copies at once when it is made.

    shared: tensors that all workers hold: DTensors, of which each copies its shard, and plain ones, the same on all, of which
        each copies an equal number. All workers must name the same ones.
    own: tensors that only this worker has, under names of its own.
    """

    def __init__(self, shared: Mapping[str, Tensor], own: Mapping[str, Tensor], workers: Workers) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._names = frozenset(shared)
        tensors: dict[str, Any] = {**_whole(shared, share_of(shared, workers.rank, workers.count)), **own}
        super().set_up_planner(tensors, None, workers.is_first)
        self._plan = super().create_local_plan()
        self._copies: dict[MetadataIndex, Tensor] = {}
        for item in self._plan.items:
            self._copies[item.index] = _to_host(self.lookup_object(item.index))
        if any(tensor.is_cuda for tensor in tensors.values()):
            torch.cuda.synchronize()
        self.state_dict = {}

    @property
    def bytes(self) -> int:
        """What is held in host memory."""
        return sum(copy.numel() * copy.element_size() for copy in self._copies.values())

    def set_up_planner(
        self, state_dict: dict[str, Any], storage_meta: StorageMeta | None = None, is_coordinator: bool = False
    ) -> None:
        """All was set up when this was made."""

    def create_local_plan(self) -> SavePlan:
        return self._plan

    def create_global_plan(self, all_plans: list[SavePlan]) -> tuple[list[SavePlan], Metadata]:
        """Raises ValueError when no worker has one of the tensors."""
        plans, metadata = super().create_global_plan(all_plans)
        missing = self._names - metadata.state_dict_metadata.keys()
        if missing:
            raise ValueError(f"{min(missing)}: no worker holds it; give all workers the same model and optimiser")
        return plans, metadata

    def resolve_data(self, write_item: WriteItem) -> Tensor:
        return self._copies[write_item.index]


def share_of(tensors: Mapping[str, Tensor], rank: int, count: int) -> dict[str, Tensor]:
    """What worker `rank` of `count` copies: of DTensors its shard, of plain tensors every `count`-th by size."""
    plain = [name for name, tensor in tensors.items() if not isinstance(tensor, DTensor)]
    mine = set(sorted(plain, key=lambda name: (tensors[name].numel(), name))[rank::count])
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, DTensor) or name in mine}


def _whole(shared: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`mine`, with all of those that PyTorch/XLA has split over chips, which takes every worker."""
    whole = dict(mine)
    for name in filter(lambda name: is_split(shared[name]), shared):
        found = gathered(shared[name])
        if name in mine:
            whole[name] = found
    return whole


def _to_host(tensor: Tensor) -> Tensor:
    """Copies from a GPU only begin here, into page-locked memory; they have ended after a synchronisation."""
    return tensor.detach().to("cpu", copy=True, non_blocking=tensor.is_cuda, memory_format=torch.contiguous_format)
