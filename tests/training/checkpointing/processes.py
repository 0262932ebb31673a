"""New processes, alone or as the workers of torch.distributed."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from opabinia.training.checkpointing.state import TrainingState
from tests.training.checkpointing.small import Model, new_state, with_optimiser

# Its children have everything imported already, but share nothing else with each other or with the tests' process.
NEW_PROCESSES = multiprocessing.get_context("forkserver")
# torch imports its compiler, for seconds, when the first optimiser is made.
NEW_PROCESSES.set_forkserver_preload(["torch._dynamo", "boto3", "tests.training.checkpointing.runs"])

LONGEST_TEST = 60.0


def together(count: int, work: Callable[..., Any], *arguments: object) -> list[Any]:
    """What `work(*arguments)` returns in each of `count` new processes, which are workers together when they are several."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(count, NEW_PROCESSES) as pool:
        meeting = Path(folder) / "meeting"
        begun = [pool.submit(as_worker, rank, count, meeting, work, arguments) for rank in range(count)]
        return [worker.result(LONGEST_TEST) for worker in begun]


def as_worker(rank: int, count: int, meeting: Path, work: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
    if count == 1:
        return work(*arguments)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    limit = timedelta(seconds=LONGEST_TEST)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count, timeout=limit)
    try:
        return work(*arguments)
    finally:
        dist.destroy_process_group()


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def sharded_state(dropout: float = 0.3) -> TrainingState:
    """The same as `new_state`, its parameters sharded over the workers; alone, as it is."""
    state = new_state(dropout=dropout)
    if not dist.is_initialized():
        return state
    model = state.model
    assert isinstance(model, Model)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model.encoder, model.body, model):
        fully_shard(part, mesh=mesh)
    return with_optimiser(model)


def wrap(state: TrainingState, sharded: bool) -> nn.Module:
    """The model as it is to be called: several workers that hold all of it average their gradients."""
    return state.model if sharded or not dist.is_initialized() else DistributedDataParallel(state.model)
