"""One small training run, on the TPU slice of a cluster of its own or on this machine's CPU:
python -m tests.xla.small_run FOLDER NAME '{"hardware": "xla", "count": 2}' [all]

The settings are those of the experiment's workers. With `all`, the encoders learn too, and samples are packed. Runs of one FOLDER
train on the same data; what is the run's alone goes to FOLDER/NAME: the curve of every report to curve.jsonl, and, of every host of
the slice, its devices and the number of programs that it had compiled after each step to host-0.json and host-1.json.
"""

from __future__ import annotations

import json
import os
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

KEPT_EVERY = 4
MODEL: dict[str, Any] = {
    "encoders": ["burgess/caption-vit", "burgess/dense-convnext"],
    "connector": {"type": "sva", "queries": 16, "in_llm_count": 2},
}
LEARNING_STEPS = (5, 7)
_PACKED = {"type": "packed", "tokens": 128, "window": 64}


def experiment(folder: Path, workers: dict[str, Any], *, all_learns: bool) -> Experiment:
    """The small one, with two encoders and SVA inside the language model too."""
    small = small_experiment(folder, {"workers": workers, "checkpoints": {"keep_every_steps": KEPT_EVERY}})
    settings = small.model_dump(mode="json") | MODEL
    if all_learns:
        for stage, steps in zip(settings["stages"], LEARNING_STEPS, strict=True):
            stage |= {"steps": steps, "trains": [*stage["trains"], "encoders"], "batching": _PACKED}
    return Experiment.model_validate(settings)


def train_and_count(settings: dict[str, Any]) -> None:
    """`train_worker`, writing down after every step how many programs there are."""
    from opabinia.training import worker
    from opabinia.training.backends.xla import count_compilations
    from opabinia.training.checkpointing.checkpoints import Checkpoints

    file = Path(settings["state"]).parents[2] / f"host-{os.environ['TPU_WORKER_ID']}.json"
    compiled: list[int] = []

    class Counting(Checkpoints):
        def is_due(self, step: int, **wishes: bool) -> bool:
            compiled.append(count_compilations())
            devices = int(os.environ["CPU_NUM_DEVICES"])
            file.write_text(json.dumps({"devices": devices, "compiled": compiled}))
            return super().is_due(step, **wishes)

    worker.Checkpoints = Counting
    worker.train_worker(settings)


def main(folder: Path, name: str, workers: dict[str, Any], *, all_learns: bool) -> None:
    on_slice = workers["hardware"] == "xla"
    if on_slice:
        launch._train = train_and_count
    with cluster_of_slices("slice") if on_slice else _this_machine():
        settings = experiment(folder, workers, all_learns=all_learns)
        run = single_run(settings, prepare(settings, settings.encoders))
        launch.launch(run, folder / name / "runs", [Curves(folder / name / "curve.jsonl")])


def _this_machine() -> AbstractContextManager[Any]:
    return ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), all_learns=sys.argv[4:] == ["all"])
