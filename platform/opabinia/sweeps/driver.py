"""Run many trials on Ray Tune, each a Ray Train run, and stop the weak ones early."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from opabinia.sweeps.follow import OpenRun, Outcome, TrialFollower
from opabinia.sweeps.space import ASHAConfig
from opabinia.sweeps.trial import run_trial
from opabinia.training.run import RunConfig

_DRIVER_CPUS = 0.1
"""A trial's driver only waits for its workers; they reserve the CPUs that matter."""


def run_trials(
    runs: Sequence[RunConfig],
    storage: Path,
    open_run: OpenRun,
    *,
    max_concurrent: int = 1,
    asha: ASHAConfig | None = None,
) -> list[Outcome]:
    """Run every trial to its end or until the scheduler stops it (never without `asha`); outcomes are in the order of `runs`."""
    _quieten_tune()
    follower = TrialFollower(len(runs), open_run)
    tuner = tune.Tuner(
        tune.with_resources(run_trial, {"CPU": _DRIVER_CPUS}),
        param_space={
            "run": tune.grid_search([run.model_dump_json() for run in runs]),
            "storage": str(storage / "checkpoints"),
        },
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(asha, max(run.reports for run in runs)) if asha else None,
            max_concurrent_trials=max_concurrent,
            trial_name_creator=_name_of,
            trial_dirname_creator=_name_of,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(storage), callbacks=[follower], verbose=0),
    )
    tuner.fit()
    return [follower.outcomes[run.name] for run in runs if run.name in follower.outcomes]


def _scheduler(asha: ASHAConfig, reports: int) -> ASHAScheduler:
    return ASHAScheduler(
        time_attr="training_iteration",
        metric=asha.metric,
        mode=asha.mode,
        max_t=reports + 1,
        grace_period=asha.grace,
        reduction_factor=asha.reduction_factor,
    )


def _name_of(trial: Any) -> str:
    return RunConfig.model_validate_json(trial.config["run"]).name


def _quieten_tune() -> None:
    """The follower tells what happens; Tune's own tables, files and advice would bury it."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
