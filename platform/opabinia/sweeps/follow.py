"""Follow a sweep's trials while they run: a line in the log for every report, and curves in MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray.tune import Callback

from opabinia.evaluation.report import TrialReport, from_json, score_metrics
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


@dataclass
class TrialFollower(Callback):
    """Tune calls this in the sweep's own process."""

    trials: int
    open_run: OpenRun
    started: float = field(default_factory=time.monotonic)
    outcomes: dict[str, Outcome] = field(default_factory=dict[str, Outcome])

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = _run_of(trial)
        if run.name not in self.outcomes:
            self.outcomes[run.name] = Outcome(run, self.open_run(run))
            self._say(f"{run.name} started ({len(self.outcomes)} of {self.trials})")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        outcome = self.outcomes[_run_of(trial).name]
        outcome.report = from_json(result["report"])
        outcome.checkpoint = Path(result["checkpoint_path"])
        outcome.start_up_seconds = outcome.start_up_seconds or result["start_up_seconds"]
        outcome.curve += result["curve"]
        _log(outcome.tracked, result["curve"], outcome.report)
        self._say(
            _progress(outcome.report, _last_loss(result["curve"]), result["training_iteration"], outcome.run.reports)
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        outcome = self.outcomes[_run_of(trial).name]
        outcome.failed = True
        if outcome.report is not None:
            outcome.report = replace(outcome.report, status="failed")
        self._say(f"{outcome.run.name} failed; its log is in {trial.local_path}")

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)


def _run_of(trial: Any) -> RunConfig:
    return RunConfig.model_validate_json(trial.config["run"])


def _log(tracked: TrackedRun, curve: list[dict[str, Any]], report: TrialReport) -> None:
    for point in curve:
        tracked.log({name: value for name, value in point.items() if name != "step"}, point["step"])
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
