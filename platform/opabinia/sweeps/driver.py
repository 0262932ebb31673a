"""Run many trials on Ray Tune, each a Ray Train run, and stop or pause the weak ones early."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from opabinia.sweeps.drawn import Drawing, DrawnTrials
from opabinia.sweeps.follow import OpenRun, Outcome, TrialFollower, logged_outcome
from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.trial import DRIVER_CPUS, run_trial
from opabinia.sweeps.trial_log import logged_trials
from opabinia.training.run import RunConfig

LOG = "trials"
"""The folder of the trials' logs within the sweep's own."""


def run_trials(
    runs: Sequence[RunConfig],
    storage: Path,
    open_run: OpenRun,
    *,
    max_concurrent: int = 1,
    asha: SchedulerConfig | None = None,
    until: Mapping[str, int] | None = None,
) -> list[Outcome]:
    """Run every trial to its end or until the scheduler stops it (never without `asha`); outcomes are in the order of `runs`.

    A sweep that was cut off in `storage` goes on: trials that ended are not run again, but for those that failed, and the others go on
    from their last state. until: name -> the reports after which a trial pauses; it goes on when it is run again with more.
    Raises ValueError where a trial was begun there with other settings.
    """
    _quieten_tune()
    outcomes = _begun(storage / LOG, runs, open_run)
    over = {name: one for name, one in outcomes.items() if one.over or (until and len(one.results) >= until[name])}
    rest = [run for run in runs if run.name not in over]
    follower = TrialFollower(len(runs), open_run, storage / LOG, outcomes=outcomes, pauses=until is not None)
    if rest:
        scheduler = _scheduler(asha, max(run.reports for run in runs), over.values()) if asha else None
        space: dict[str, Any] = {"run": tune.grid_search([run.model_dump_json() for run in rest])}
        if until is not None:
            scheduler, space = _PauseAt(until), space | {"until": json.dumps(dict(until))}
        _tuner(space, storage, follower, scheduler, max_concurrent).fit()
    return [outcomes[run.name] for run in runs if run.name in outcomes]


def run_drawn(
    drawing: Drawing,
    trials: int,
    reports: int,
    storage: Path,
    open_run: OpenRun,
    *,
    max_concurrent: int = 1,
    asha: SchedulerConfig | None = None,
) -> list[Outcome]:
    """Like `run_trials`, of trials that are drawn when there is room for one; outcomes are in the order of the draws.

    trials: the most that can be drawn. reports: the most that a trial can give.
    """
    _quieten_tune()
    outcomes = _begun(storage / LOG, drawing.runs, open_run)
    drawing.go_on(outcomes)
    follower = TrialFollower(trials, open_run, storage / LOG, outcomes=outcomes)
    scheduler = _scheduler(asha, reports, [one for one in outcomes.values() if one.over]) if asha else None
    _tuner({}, storage, follower, scheduler, max_concurrent, DrawnTrials(drawing)).fit()
    return [outcomes[run.name] for run in drawing.runs if run.name in outcomes]


def _begun(log: Path, runs: Sequence[RunConfig], open_run: OpenRun) -> dict[str, Outcome]:
    """By name, what the trials among `runs` had come to before the sweep was cut off."""
    logged, outcomes = logged_trials(log), dict[str, Outcome]()
    for run in runs:
        if (trial := logged.get(run.name)) is None:
            continue
        if trial.run != run:
            raise ValueError(
                f"resume: trial {run.name} was begun with other settings in {log.parent}; go on with that folder's "
                "experiment.yaml, or begin another sweep"
            )
        outcomes[run.name] = logged_outcome(trial, open_run(run))
    return outcomes


def _tuner(
    space: dict[str, Any],
    storage: Path,
    follower: TrialFollower,
    scheduler: TrialScheduler | None,
    max_concurrent: int,
    searcher: DrawnTrials | None = None,
) -> tune.Tuner:
    """space: of `run_trial`, but for what all trials share. searcher: gives the runs, where space has none."""
    return tune.Tuner(
        tune.with_resources(run_trial, {"CPU": DRIVER_CPUS}),
        param_space={**space, "storage": str(storage / "checkpoints")},
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            num_samples=1 if searcher is None else -1,
            scheduler=scheduler,
            max_concurrent_trials=max_concurrent,
            trial_name_creator=_name_of,
            trial_dirname_creator=_name_of,
        ),
        run_config=tune.RunConfig(name="tune", storage_path=str(storage), callbacks=[follower], verbose=0),
    )


def _scheduler(asha: SchedulerConfig, reports: int, over: Iterable[Outcome]) -> ASHAScheduler:
    """over: trials of an earlier attempt, against which the others are measured too."""
    scheduler = ASHAScheduler(
        # Tune's own count begins anew where a trial goes on.
        time_attr="reports",
        metric=asha.metric,
        mode=asha.mode,
        max_t=reports + 1,
        grace_period=asha.grace,
        reduction_factor=asha.reduction_factor,
    )
    untyped: Any = scheduler
    for outcome in over:
        trial = SimpleNamespace(trial_id=outcome.run.name)
        untyped.on_trial_add(None, trial)
        for result in outcome.results:
            untyped.on_trial_result(None, trial, result)
        untyped.on_trial_remove(None, trial)
    return scheduler


class _PauseAt(FIFOScheduler):
    """Ends a trial here once it gave as many reports as were asked for; its state stays, so that it can go on."""

    def __init__(self, until: Mapping[str, int]) -> None:
        super().__init__()
        self._until = until

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        run = RunConfig.model_validate_json(trial.config["run"])
        pauses = self._until[run.name] <= result["reports"] < run.reports
        return TrialScheduler.STOP if pauses else TrialScheduler.CONTINUE


def _name_of(trial: Any) -> str:
    return RunConfig.model_validate_json(trial.config["run"]).name


def _quieten_tune() -> None:
    """The follower tells what happens; Tune's own tables, files and advice would bury it."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
