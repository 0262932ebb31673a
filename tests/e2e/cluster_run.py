"""The small run on a Ray cluster of a head and another machine, each with an address and room for one worker of 0.6 CPUs:
python -m tests.e2e.cluster_run FOLDER '{"workers": {"count": 2}}' ADDRESS PORT

ADDRESS: of the other machine. PORT: where the cluster's head listens. FOLDER/gate: the last step that workers may end, none where
there is no such file; FOLDER/reached: the last one that they have trained.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import ray

from opabinia.training import launch
from tests.cluster.preempted_cluster import Machines
from tests.e2e import small_run


def train_in_steps(settings: dict[str, Any]) -> None:
    """`train_worker`, waiting at the gate after every step, before it is decided whether to save."""
    from opabinia.training import worker
    from opabinia.training.checkpointing.checkpoints import Checkpoints

    folder = Path(settings["state"]).parents[2]

    class GatedCheckpoints(Checkpoints):
        def is_due(self, step: int, **wishes: bool) -> bool:
            (folder / "reached").write_text(f"{step}")
            while (folder / "gate").exists() and step > int((folder / "gate").read_text() or 0):
                time.sleep(0.02)
            return super().is_due(step, **wishes)

    worker.Checkpoints = GatedCheckpoints
    worker.train_worker(settings)


def main(folder: Path, changes: dict[str, dict[str, Any]], address: str, port: int) -> None:
    launch._train = train_in_steps
    machines = Machines(folder, port)
    machines.add(address)
    small_run.train(folder, changes)
    ray.shutdown()
    machines.cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
