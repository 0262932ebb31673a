"""A Ray cluster of several nodes on one machine, each with an address of its own; what a line on stdin asks for is done
there, and answered with a line of JSON. Run as a program: Ray's settings are those of the process, and final. RAY_TMPDIR must be
a folder of its own: Ray remembers there, for all that is started later, which cluster is the current one.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster
from ray.core.generated.common_pb2 import NodeDeathInfo
from ray.exceptions import ActorUnschedulableError
from ray.train import Checkpoint, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from opabinia.training.trainer import staying_nodes

HEAD = "127.0.0.1"
_NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
_PORTS = {"min_worker_port": 0, "max_worker_port": 0}


@ray.remote(num_cpus=1)
class Resident:
    """Takes up a node, and can say which."""

    def node_id(self) -> str:
        return ray.get_runtime_context().get_node_id()


class Machines:
    """What can be asked for; the answers are what Ray itself says."""

    def __init__(self, folder: Path, head_port: int) -> None:
        self.folder = folder
        head = {"node_ip_address": HEAD, "gcs_server_port": head_port}
        self.cluster = Cluster(initialize_head=True, head_node_args={**_NODE, **_PORTS, **head})
        ray.init(self.cluster.address, _node_ip_address=HEAD, log_to_driver=False, logging_level="ERROR")
        self.residents: dict[str, Any] = {}

    def head(self) -> str:
        return self.cluster.head_node.node_id

    def add(self, address: str) -> str:
        return self.cluster.add_node(node_ip_address=address, **_NODE, **_PORTS).node_id

    def draining(self) -> dict[str, int]:
        return ray._private.state.state.get_draining_nodes()

    def staying(self) -> list[str]:
        """The nodes that a run counts on when its workers begin anew."""
        return sorted(staying_nodes())

    def settle(self, node_id: str) -> str:
        """Place an actor on a node, and return where it is."""
        self.residents[node_id] = Resident.options(scheduling_strategy=_only(node_id)).remote()
        return self.visit(node_id)

    def visit(self, node_id: str) -> str:
        return ray.get(self.residents[node_id].node_id.remote(), timeout=60)

    def leave(self, node_id: str) -> None:
        ray.kill(self.residents.pop(node_id))

    def accepts_work(self, node_id: str) -> bool:
        try:
            ray.get(
                Resident.options(num_cpus=0, scheduling_strategy=_only(node_id)).remote().node_id.remote(), timeout=60
            )
        except ActorUnschedulableError:
            return False
        return True

    def death(self, node_id: str) -> str:
        """Wait for a node's end, and return what Ray takes for its reason."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (node,) = [node for node in ray.nodes() if node["NodeID"] == node_id]
            if not node["Alive"]:
                return NodeDeathInfo.Reason.Name(node["DeathReason"])
            time.sleep(0.1)
        raise TimeoutError(f"node {node_id} still lives")

    def train(self) -> dict[str, Any]:
        """Train on two nodes, and on one when the other is gone; any failure but a preemption would end the run."""
        trainer = TorchTrainer(
            wait_for_preemption,
            train_loop_config={"notes": str(self.folder)},
            scaling_config=ScalingConfig(num_workers=(1, 2), resources_per_worker={"CPU": 1}),
            run_config=RunConfig(
                name="run", storage_path=str(self.folder), failure_config=FailureConfig(max_failures=0)
            ),
        )
        result: Result = trainer.fit()
        return result.metrics or {}


def wait_for_preemption(config: dict[str, str]) -> None:
    """Go on until Ray Train says that a node will end, save what it said, and go on; after the restart, report it."""
    context = ray.train.get_context()
    notes, rank = Path(config["notes"]), context.get_world_rank()
    if checkpoint := ray.train.get_checkpoint():
        saved = json.loads((Path(checkpoint.path) / "info").read_text())
        ray.train.report({"workers": context.get_world_size(), **saved}, checkpoint=checkpoint)
        return
    (notes / f"running-{rank}").write_text(ray.get_runtime_context().get_node_id())
    while (info := ray.train.get_preemption_info()) is None:
        time.sleep(0.05)
    with tempfile.TemporaryDirectory() as folder:
        seen = {"ranks": info.preempted_node_to_ranks, "deadline_ms": info.deadline_ms}
        (Path(folder) / "info").write_text(json.dumps(seen))
        ray.train.report({}, checkpoint=Checkpoint(folder) if rank == 0 else None)
    (notes / f"saved-{rank}").touch()
    # A worker that returned would have finished, and one that failed would have failed; this one is taken away.
    while True:
        time.sleep(0.05)


def _only(node_id: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def main(argv: Sequence[str]) -> None:
    machines = Machines(Path(argv[0]), int(argv[1]))
    print(json.dumps(machines.head()), flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        answer: Callable[..., Any] = getattr(machines, verb)
        print(json.dumps(answer(*words)), flush=True)
    ray.shutdown()
    machines.cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
