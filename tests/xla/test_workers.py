"""Ray Train gives PyTorch/XLA the hosts of one TPU slice, and what they train together is what one CPU trains alone."""

from __future__ import annotations

import json
import os
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.train import RunConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from opabinia.training.backends.choose import Chosen, Slice, choose, open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.workers import backend_config, scaling_config
from tests.xla import toy
from tests.xla.slices import ACCELERATOR_TYPE, CHIPS, HOSTS, TOPOLOGY

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("tpu_cluster")]

XLA = HardwareConfig(hardware="xla")


def train_worker(settings: dict[str, Any]) -> None:
    """Run by Ray Train; writes the losses to a file, and of each worker where it was."""
    import torch.distributed as dist

    context = ray.train.get_context()
    rank, count = context.get_world_rank(), context.get_world_size()
    backend = open_backend("xla", HardwareConfig.model_validate(settings["hardware"]))
    losses = toy.train(backend, rank, count)
    node = next(node for node in ray.nodes() if node["NodeID"] == ray.get_runtime_context().get_node_id())
    mine = {
        "slice": node["Labels"]["ray.io/tpu-slice-name"],
        "host": node["Labels"]["ray.io/tpu-worker-id"],
        "devices": backend.row_multiple,
        "megascale": os.environ.get("MEGASCALE_SLICE_ID"),
    }
    workers: list[Any] = [None] * count
    dist.all_gather_object(workers, mine)
    if rank == 0:
        Path(settings["found"]).write_text(json.dumps({"losses": losses, "workers": workers}))


def fit(folder: Path, config: HardwareConfig, chosen: Chosen, workers: int) -> dict[str, Any]:
    trainer = DataParallelTrainer(
        train_worker,
        train_loop_config={"hardware": config.model_dump(), "found": str(folder / "found.json")},
        scaling_config=scaling_config(chosen, workers, cpus=1),
        backend_config=backend_config(chosen, workers),
        run_config=RunConfig(name="toy", storage_path=str(folder)),
    )
    trainer.fit()
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize(("sharding", "slices"), [("replicated", 1), ("sharded", 2)])
def test_the_hosts_of_whole_slices_train_what_one_cpu_trains(tmp_path: Path, sharding: str, slices: int) -> None:
    config = HardwareConfig.model_validate({**XLA.model_dump(), "sharding": sharding})
    found = fit(tmp_path, config, choose(config, ray.nodes()), slices * HOSTS)
    workers = found["workers"]
    together = groupby(workers, key=lambda worker: worker["slice"])
    hosts = [sorted(worker["host"] for worker in members) for _, members in together]
    assert hosts == [["0", "1"]] * slices
    assert {worker["devices"] for worker in workers} == {CHIPS}
    numbers = [worker["megascale"] for worker in workers]
    assert numbers == ([None] * HOSTS if slices == 1 else ["0", "0", "1", "1"])
    alone = toy.train(open_backend("cpu", HardwareConfig()))
    assert found["losses"] == pytest.approx(alone, rel=1e-4)
    assert alone[-1] < 0.9 * alone[0]


def test_the_slices_of_the_cluster_are_found() -> None:
    expected = Chosen("xla", Slice(TOPOLOGY, ACCELERATOR_TYPE))
    assert choose(HardwareConfig(), ray.nodes()) == expected
    assert choose(XLA, ray.nodes()) == expected


def test_workers_that_do_not_fill_slices_are_refused() -> None:
    with pytest.raises(ValueError, match=r"workers\.count: 3 do not fill slices of 2x2x2, which take 2 each; use 4"):
        scaling_config(Chosen("xla", Slice(TOPOLOGY, ACCELERATOR_TYPE)), 3, cpus=1)
