"""One trial of a sweep: a Ray Tune trainable that starts a Ray Train run."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.training.run import RunConfig

if TYPE_CHECKING:
    from ray.tune.integration.ray_train import TuneReportCallback

DRIVER_CPUS = 0.1
"""A trial's driver only waits for its workers; they reserve the CPUs that matter."""

SAVING_SECONDS = 600.0
"""How long a trial that pauses waits for its state; after that it goes on from the state before, which costs time and nothing else."""


def run_trial(config: dict[str, Any]) -> None:
    """Run by Ray Tune with {"run": RunConfig as JSON, "storage": folder for checkpoints}, and perhaps "until": JSON of the number of
    reports after which the trial of each name pauses.
    """
    from ray.tune.integration.ray_train import TuneReportCallback

    from opabinia.training.launch import launch, state_address

    run, storage = RunConfig.model_validate_json(config["run"]), Path(config["storage"])
    until: int = json.loads(config.get("until", "{}")).get(run.name, run.reports)
    if until < run.reports:
        launch(saved_at_reports(run), storage, [_pausing(until, state_address(run, storage))])
    else:
        launch(run, storage, [TuneReportCallback()])


def saved_at_reports(run: RunConfig) -> RunConfig:
    """The same run, whose state is saved with each report, as that of every run whose workers may begin anew."""
    if run.workers.may_begin_anew:
        return run
    return run.model_copy(update={"workers": run.workers.model_copy(update={"max_failures": 1})})


def wait_for_state(address: str, steps: int, seconds: float = SAVING_SECONDS) -> bool:
    """Whether the state after so many steps is saved below the address, at the latest after so long."""
    from opabinia.training.checkpointing.layout import latest_checkpoint

    deadline = time.monotonic() + seconds
    while True:
        latest = latest_checkpoint(address)
        if latest is not None and latest.step >= steps:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)


def _pausing(until: int, address: str) -> TuneReportCallback:
    from ray.tune.integration.ray_train import TuneReportCallback

    from opabinia.evaluation.report import from_json

    class Pausing(TuneReportCallback):
        """Holds back the report after which the trial pauses until its state is saved, for Tune ends the trial when it hears of it."""

        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            if metrics[0]["reports"] >= until:
                wait_for_state(address, from_json(metrics[0]["report"]).steps)
            super().after_report(run_context, metrics, checkpoint)

    return Pausing()
