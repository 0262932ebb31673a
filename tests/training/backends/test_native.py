"""Devices that torch drives itself, on the one that is everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn

from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from tests.xla import toy

WORKERS = 2


@dataclass(frozen=True)
class Mixed:
    text: Tensor
    grids: list[Tensor]
    names: list[str]
    none: Tensor | None = None


def test_a_batch_is_moved_with_all_its_tensors_and_nothing_else_is_changed() -> None:
    batch = Mixed(torch.ones(2), [torch.zeros(3)], ["a"])
    moved = open_backend("cpu", HardwareConfig()).move({"one": (batch, 7)})["one"]
    assert isinstance(moved, tuple)
    assert moved[0].text.equal(batch.text)
    assert moved[0].grids[0].equal(batch.grids[0])
    assert (moved[0].names, moved[0].none, moved[1]) == (["a"], None, 7)


@pytest.mark.parametrize(("precision", "dtype"), [("auto", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_cpu_computes_in_float32_unless_told_otherwise(precision: str, dtype: torch.dtype) -> None:
    backend = open_backend("cpu", HardwareConfig.model_validate({"precision": precision}))
    linear = backend.place(nn.Linear(2, 2))
    with backend.autocast():
        assert linear(torch.ones(1, 2)).dtype == dtype
    assert linear.weight.dtype == torch.float32


def test_alone_nothing_is_wrapped_or_exchanged() -> None:
    backend = open_backend("cpu", HardwareConfig(sharding="sharded"))
    model = nn.Linear(2, 2)
    assert backend.wrap(model, []) is model
    assert (backend.replicas, backend.row_multiple, backend.static_shapes) == (1, 1, False)
    assert backend.sum(torch.tensor(3)).item() == 3


@pytest.mark.e2e
@pytest.mark.parametrize("sharding", ["replicated", "sharded"])
def test_two_workers_train_what_one_trains(tmp_path: Path, sharding: str) -> None:
    multiprocessing.spawn(_train, (tmp_path, sharding), nprocs=WORKERS)
    alone = toy.train(open_backend("cpu", HardwareConfig()))
    for rank in range(WORKERS):
        losses = torch.load(tmp_path / f"losses-{rank}", weights_only=True).tolist()
        assert losses == pytest.approx(alone, rel=1e-5)


def _train(rank: int, folder: Path, sharding: str) -> None:
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=WORKERS)
    backend = open_backend("cpu", HardwareConfig.model_validate({"sharding": sharding}))
    torch.save(torch.tensor(toy.train(backend, rank, WORKERS)), folder / f"losses-{rank}")
    dist.destroy_process_group()
