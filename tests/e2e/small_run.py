"""One small training run in a process and a Ray of its own: python -m tests.e2e.small_run FOLDER '{"workers": {"count": 2}}'

Appends the curve of every report to FOLDER/curve.jsonl.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.train import UserCallback

from opabinia.experiment import Experiment
from opabinia.preparation import absolute_paths, prepare
from opabinia.runs import single_run
from opabinia.training.launch import launch

QUICKSTART = Path(__file__).parents[2] / "jobs" / "experiments" / "quickstart.yaml"
STEPS = (10, 14)


class Curves(UserCallback):
    def __init__(self, file: Path) -> None:
        self.file = file

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        with self.file.open("a") as handle:
            handle.writelines(json.dumps(point) + "\n" for point in metrics[0]["curve"])


def small_experiment(folder: Path, changes: dict[str, dict[str, Any]]) -> Experiment:
    """`changes`: of the experiment's workers and checkpoints."""
    settings = yaml.safe_load(QUICKSTART.read_text())
    settings |= {"output": str(folder / "out"), "encoders": ["burgess/caption-vit"], "cache": {"enabled": False}}
    settings["workers"] = {"cpus": 0.4, "data_tasks": 1, **changes.get("workers", {})}
    settings["checkpoints"] = {"every_minutes": 1e-6, **changes.get("checkpoints", {})}
    settings["world"] |= {"folder": str(folder / "world"), "scenes": 60, "facts": 6, "benchmark": 8}
    for source, place in settings["data"]["sources"].items():
        place |= {"shards": str(folder / "world" / source), "images": str(folder / "world" / "images")}
    settings["benchmark"] |= {"folder": str(folder / "world" / "benchmark"), "images": str(folder / "world" / "images")}
    for stage, steps in zip(settings["stages"], STEPS, strict=True):
        # One worker computes in two parts what two workers compute in one each: sums are then rounded alike.
        stage |= {"steps": steps, "batch": 8, "per_device_batch": 4, "reports": 1}
    return absolute_paths(Experiment.model_validate(settings))


def train(folder: Path, changes: dict[str, dict[str, Any]]) -> None:
    """On the Ray that this process is connected to."""
    experiment = small_experiment(folder, changes)
    run = single_run(experiment, prepare(experiment, experiment.encoders))
    launch(run, folder / "runs", [Curves(folder / "curve.jsonl")])


def main(folder: Path, changes: dict[str, dict[str, Any]]) -> None:
    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    train(folder, changes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
