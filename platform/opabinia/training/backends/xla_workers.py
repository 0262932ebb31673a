"""How Ray Train sets its workers up for PyTorch/XLA; its own TorchXLAConfig is for AWS Neuron alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import ray
from ray.train.backend import Backend, BackendConfig

_STOP_SECONDS = 30.0


@dataclass
class XlaConfig(BackendConfig):
    """For `DataParallelTrainer(backend_config=...)`: one worker a TPU host, all of whose chips it has reserved.

    Where PJRT_DEVICE is CPU in the workers' environment, each has as many virtual devices as it has reserved chips.
    """

    @property
    def backend_cls(self) -> type[Backend]:
        return XlaWorkers


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many workers a process is, how many chips it has reserved, and where the first worker listens."""

    rank: int
    count: int
    chips: int
    address: str
    port: int


class XlaWorkers(Backend):
    """Starts PyTorch/XLA in every worker before the training function runs there."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        from ray.train._internal.utils import get_address_and_port

        address, port = worker_group.execute_single(0, get_address_and_port)
        count = len(worker_group)
        chips = int(worker_group.get_resources_per_worker().get("TPU", 1))
        slices = worker_group.get_worker_group_context().num_slices
        started: list[Any] = [
            worker_group.execute_single_async(
                rank,
                start_runtime,
                Place(rank, count, chips, address, port),
                _slice_environment(rank, count, slices, address),
            )
            for rank in range(count)
        ]
        ray.get(started)

    def on_shutdown(self, worker_group: Any, backend_config: BackendConfig) -> None:
        # A worker that hangs in a collective must not keep the others' machines.
        ray.wait(worker_group.execute_async(_leave_group), num_returns=len(worker_group), timeout=_STOP_SECONDS)


def start_runtime(place: Place, environment: Mapping[str, str]) -> None:
    """Make this process drive its chips as one device, and join it to the other workers by gloo, for what the hosts exchange.

    Raises ValueError where another worker of this run is on the same TPU host.
    """
    os.environ.update(environment)
    if os.environ.setdefault("PJRT_DEVICE", "TPU") == "CPU":
        os.environ["CPU_NUM_DEVICES"] = str(place.chips)
    else:
        _check_alone_on_host()
    runtime: Any = import_module("torch_xla.runtime")
    runtime.use_spmd()
    # Starts the devices: torch's autograd counts them at its first backward pass, and fails on one that appears later.
    runtime.addressable_runtime_device_count()
    if place.count > 1:
        _join(place)


def _join(place: Place) -> None:
    import torch.distributed as dist

    store = f"tcp://{place.address}:{place.port}"
    dist.init_process_group("gloo", init_method=store, rank=place.rank, world_size=place.count)


def _leave_group() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


def _check_alone_on_host() -> None:
    import ray.train

    here = ray.train.get_context().get_local_world_size()
    if here > 1:
        raise ValueError(
            f"workers: {here} are on one TPU host, all of whose chips one PyTorch/XLA process drives; give each worker "
            "as many TPU as a host has"
        )


def _slice_environment(rank: int, count: int, slices: int, address: str) -> dict[str, str]:
    """What joins the chips of several slices to one island (Megascale); empty where there is one slice."""
    if slices == 1:
        return {}
    from ray.util.tpu import get_tpu_coordinator_env_vars

    variables: Any = get_tpu_coordinator_env_vars(
        coordinator_address=address, num_slices=slices, slice_id=rank * slices // count
    )
    return variables
