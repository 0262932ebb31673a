"""Which processes encode: one for each free GPU, or one for each free processor where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray

from opabinia.data.pipeline import TASK_CPUS, free_cpus


@dataclass(frozen=True, slots=True)
class Workers:
    """`count` processes of `cpus` processors and `gpus` GPUs (0 or 1), each with `threads` threads."""

    count: int
    cpus: float
    gpus: int
    threads: int

    @property
    def device(self) -> str:
        """Where their encoders run."""
        return "cuda" if self.gpus else "cpu"


def free_workers() -> Workers:
    """As many as the cluster has room for at the moment, at least one. Ray must be running."""
    untyped: Any = ray
    cpus, gpus = free_cpus(), int(untyped.available_resources().get("GPU", 0))
    if not gpus:
        return Workers(max(1, cpus), 1 if cpus else TASK_CPUS, 0, 1)
    share = min(cpus // gpus, _cpus_beside_a_gpu(untyped.nodes()))
    return Workers(gpus, share or TASK_CPUS, 1, max(1, share))


def _cpus_beside_a_gpu(nodes: list[dict[str, Any]]) -> int:
    """A worker must fit on the node that its GPU is on, whatever processors other nodes have."""
    resources = [node["Resources"] for node in nodes if node["Alive"] and node["Resources"].get("GPU")]
    return min((int(held.get("CPU", 0) // held["GPU"]) for held in resources), default=0)
