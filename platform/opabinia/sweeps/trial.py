"""One trial of a sweep: a Ray Tune trainable that starts a Ray Train run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opabinia.training.run import RunConfig

DRIVER_CPUS = 0.1
"""A trial's driver only waits for its workers; they reserve the CPUs that matter."""


def run_trial(config: dict[str, Any]) -> None:
    """Run by Ray Tune with {"run": RunConfig as JSON, "storage": folder for checkpoints}."""
    from ray.tune.integration.ray_train import TuneReportCallback

    from opabinia.training.launch import launch

    launch(RunConfig.model_validate_json(config["run"]), Path(config["storage"]), [TuneReportCallback()])
