"""One small training run on the slice of a cluster of its own, or on this machine's CPU:
python -m tests.xla.small_run FOLDER '{"hardware": "xla", "count": 2}'

The settings are those of the experiment's workers. Appends the curve of every report to FOLDER/curve.jsonl, and how many programs XLA
has compiled after every step to FOLDER/compiled.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import ray

from opabinia.experiment import Experiment
from opabinia.preparation import prepare
from opabinia.runs import single_run
from opabinia.training import launch
from tests.e2e.small_run import Curves, small_experiment
from tests.xla.slices import cluster_of_slices

KEPT = 4
MODEL: dict[str, Any] = {
    "encoders": ["burgess/caption-vit", "burgess/dense-convnext"],
    "connector": {"type": "sva", "queries": 16, "in_llm_count": 2},
}


def experiment(folder: Path, workers: dict[str, Any]) -> Experiment:
    """The small one, with two encoders and SVA inside the language model too; every `KEPT` steps a checkpoint stays."""
    small = small_experiment(folder, {"workers": workers, "checkpoints": {"keep_every_steps": KEPT}})
    return Experiment.model_validate(small.model_dump(mode="json") | MODEL)


def train_and_count(settings: dict[str, Any]) -> None:
    """`train_worker`, writing down after every step how many programs there are."""
    from opabinia.training import worker
    from opabinia.training.checkpointing.checkpoints import Checkpoints

    folder = Path(settings["state"]).parents[2]

    class Counting(Checkpoints):
        def is_due(self, step: int, **wishes: bool) -> bool:
            from opabinia.training.backends.xla import count_compilations

            with (folder / "compiled").open("a") as handle:
                handle.write(f"{step} {count_compilations()}\n")
            return super().is_due(step, **wishes)

    worker.Checkpoints = Counting
    worker.train_worker(settings)


def main(folder: Path, workers: dict[str, Any]) -> None:
    on_xla = workers["hardware"] == "xla"
    if on_xla:
        launch._train = train_and_count
    with cluster_of_slices("slice") if on_xla else _this_machine():
        settings = experiment(folder, workers)
        run = single_run(settings, prepare(settings, settings.encoders))
        launch.launch(run, folder / "runs", [Curves(folder / "curve.jsonl")])


def _this_machine() -> AbstractContextManager[Any]:
    return ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
