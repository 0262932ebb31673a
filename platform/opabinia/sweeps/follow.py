"""Follow a sweep's trials while they run: a line in the job's output for every report, curves in MLflow, and all of it on disk."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray.tune import Callback

from opabinia.evaluation.report import TrialReport, from_json, score_metrics
from opabinia.sweeps.trial_log import LoggedTrial, Told, log_end, log_start, log_told
from opabinia.tracking.tracked_run import TrackedRun
from opabinia.training.run import RunConfig

OpenRun = Callable[[RunConfig], TrackedRun]


@dataclass
class Outcome:
    """What became of one trial; `report` and `checkpoint` are those of its last report, None if it never gave one."""

    run: RunConfig
    tracked: TrackedRun
    report: TrialReport | None = None
    checkpoint: Path | None = None
    start_up_seconds: float | None = None
    """From when the run was asked for to its first step."""
    curve: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """One point a step: step, loss, learning rates, seconds."""
    failed: bool = False
    over: bool = False
    """Whether it ran to its end or was stopped in an earlier attempt at the sweep."""
    scores: dict[int, float | None] = field(default_factory=dict[int, float | None])
    """Of each report, by its steps."""

    @property
    def results(self) -> list[dict[str, float | None]]:
        """Its reports as the scheduler was told of them."""
        return [{"reports": number, "score": score} for number, score in enumerate(self.scores.values(), start=1)]

    def add(self, told: Told) -> None:
        """A report; after a failure it may tell steps that were told before."""
        self.report, self.checkpoint = told.report, told.checkpoint
        self.scores[told.report.steps] = told.report.score
        self.start_up_seconds = self.start_up_seconds or told.start_up_seconds
        known = {point["step"] for point in self.curve}
        self.curve += [dict(point) for point in told.curve if point["step"] not in known]


def logged_outcome(trial: LoggedTrial, tracked: TrackedRun) -> Outcome:
    """What a trial had come to before the sweep was cut off, some of which MLflow may not have heard."""
    outcome = Outcome(trial.run, tracked, failed=trial.ended == "failed", over=trial.ended in ("finished", "stopped"))
    for told in trial.told:
        outcome.add(told)
        _log(tracked, told.curve, told.report)
    return outcome


@dataclass
class TrialFollower(Callback):
    """Tune calls this in the sweep's own process. log: where trials are logged. outcomes: of trials that were begun earlier too."""

    trials: int
    open_run: OpenRun
    log: Path
    started: float = field(default_factory=time.monotonic)
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])
    pauses: bool = False
    """Whether trials that end early here may go on later."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = _run_of(trial)
        log_start(self.log, run)
        goes_on = run.name in self.outcomes
        if not goes_on:
            self.outcomes[run.name] = Outcome(run, self.open_run(run))
        self.outcomes[run.name].failed = False
        self._say(f"{run.name} {'goes on' if goes_on else 'started'} ({len(self.outcomes)} of {self.trials})")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        outcome = self.outcomes[_run_of(trial).name]
        report = from_json(result["report"])
        told = Told(report, Path(result["checkpoint_path"]), result["start_up_seconds"], result["curve"])
        log_told(self.log, outcome.run.name, told)
        outcome.add(told)
        _log(outcome.tracked, result["curve"], report)
        self._say(_progress(report, _last_loss(result["curve"]), result["reports"], outcome.run.reports))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        outcome = self.outcomes[_run_of(trial).name]
        if outcome.report is not None:
            paused = self.pauses and outcome.report.status == "stopped"
            log_end(self.log, outcome.run.name, "paused" if paused else outcome.report.status)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        outcome = self.outcomes[_run_of(trial).name]
        outcome.failed = True
        if outcome.report is not None:
            outcome.report = replace(outcome.report, status="failed")
        log_end(self.log, outcome.run.name, "failed")
        self._say(f"{outcome.run.name} failed; its log is in {trial.local_path}")

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)


def _run_of(trial: Any) -> RunConfig:
    return RunConfig.model_validate_json(trial.config["run"])


def _log(tracked: TrackedRun, curve: Sequence[Mapping[str, float]], report: TrialReport) -> None:
    for point in curve:
        tracked.log({name: value for name, value in point.items() if name != "step"}, int(point["step"]))
    tracked.log(score_metrics(report), report.steps)
    tracked.push()


def _last_loss(curve: Sequence[Mapping[str, Any]]) -> float:
    """Of the last step that was not skipped; NaN where all were."""
    return next((float(point["loss"]) for point in reversed(curve) if "loss" in point), math.nan)


def _progress(report: TrialReport, loss: float, number: int, reports: int) -> str:
    scores: Mapping[str, float] = report.with_image.families if report.with_image else {}
    families = "  ".join(f"{name} {score:.0f}" for name, score in scores.items())
    return (
        f"{report.trial_id}  report {number}/{reports}  step {report.steps}  loss {loss:.3f}  "
        f"score {report.score:.1f}  ({families})"
    )
