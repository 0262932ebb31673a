"""Follow a sweep's trials while they run: a line in the log for every report, and curves in MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune import Callback

from opabinia.evaluation.report import TrialReport, from_json, score_metrics
from opabinia.tracking.tracked_run import TrackedRun
from opabinia.training.run import RunConfig

OpenRun = Callable[[RunConfig], TrackedRun]


@dataclass
class TrialFollower(Callback):
    """Tune calls this in the sweep's own process."""

    reports_per_trial: Mapping[str, int]
    open_run: OpenRun
    started: float = field(default_factory=time.monotonic)
    tracked: dict[str, TrackedRun] = field(default_factory=dict[str, TrackedRun])
    latest: dict[str, TrialReport] = field(default_factory=dict[str, TrialReport])
    checkpoints: dict[str, str] = field(default_factory=dict[str, str])
    start_up: dict[str, float] = field(default_factory=dict[str, float])
    failed: set[str] = field(default_factory=set[str])

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = _run_of(trial)
        if run.name not in self.tracked:
            self.tracked[run.name] = self.open_run(run)
            self._say(f"{run.name} started ({len(self.tracked)} of {len(self.reports_per_trial)})")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        name = _run_of(trial).name
        report = from_json(result["report"])
        self.latest[name] = report
        self.checkpoints[name] = result["checkpoint_path"]
        self.start_up.setdefault(name, result["start_up_seconds"])
        _log(self.tracked[name], result["curve"], report)
        self._say(_progress(report, result, self.reports_per_trial[name]))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        name = _run_of(trial).name
        self.failed.add(name)
        self._say(f"{name} failed; its log is in {trial.local_path}")

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.started:5.0f} s] {text}", flush=True)


def _run_of(trial: Any) -> RunConfig:
    return RunConfig.model_validate_json(trial.config["run"])


def _log(tracked: TrackedRun, curve: list[dict[str, Any]], report: TrialReport) -> None:
    for point in curve:
        tracked.log({name: value for name, value in point.items() if name != "step"}, point["step"])
    tracked.log(score_metrics(report), report.steps)
    tracked.push()


def _progress(report: TrialReport, result: Mapping[str, Any], reports: int) -> str:
    families = (
        "  ".join(f"{name} {score:.0f}" for name, score in report.with_image.families.items())
        if report.with_image
        else ""
    )
    loss = result["curve"][-1]["loss"]
    return (
        f"{report.trial_id}  report {result['training_iteration']}/{reports}  step {report.steps}  loss {loss:.3f}  "
        f"score {report.score:.1f}  ({families})"
    )
