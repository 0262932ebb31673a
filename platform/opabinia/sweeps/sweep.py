"""The story of a sweep: open its run, train every trial, publish what came out, crown the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opabinia.evaluation.report import TrialReport, to_json
from opabinia.evaluation.statistics.intervals import Interval
from opabinia.names import configuration_name, unknown
from opabinia.storage.atomic import whole_text
from opabinia.sweeps.brackets import run_brackets
from opabinia.sweeps.drawn import Drawing, MakeRuns
from opabinia.sweeps.driver import run_drawn, run_trials
from opabinia.sweeps.follow import OpenRun, Outcome
from opabinia.sweeps.publish import crown, publish_sweep, publish_trial
from opabinia.sweeps.searching.config import RoundRobinSearch, TPESearch
from opabinia.sweeps.selection import Selection, run_rounds
from opabinia.sweeps.space import SweepConfig, axes_of, drawn_trials
from opabinia.tracking.config import TrackingConfig
from opabinia.tracking.mlflow_runs import open_sweep, open_trial
from opabinia.tracking.tracked_run import TrackedRun
from opabinia.training.inputs import load_inputs
from opabinia.training.run import RunConfig

DRAWS = "draws.jsonl"
"""In the sweep's folder, where the search draws its trials while they are trained."""

CHAMPION = "champion.json"
"""Its report, which is written last: a sweep that has it has ended."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Everything the trials reported, and which of them is the champion now."""

    parent: TrackedRun
    outcomes: list[Outcome]
    champion: TrialReport | None
    intervals: Mapping[str, Interval]
    """Of each trial's score, by trial, where its answers allow one."""
    selections: Sequence[Selection]
    """What a greedy selection came to, for each connector; none of another search."""

    @property
    def reports(self) -> list[TrialReport]:
        return [outcome.report for outcome in self.outcomes if outcome.report]


def run_sweep(
    name: str,
    sweep_id: str,
    runs: Sequence[RunConfig],
    config: SweepConfig,
    tracking: TrackingConfig,
    folder: Path,
    settings: Path,
    make_runs: MakeRuns,
) -> SweepResult:
    """Train all runs as trials of one sweep, or those that `make_runs` makes of what its search draws.

    `sweep_id` identifies the sweep in MLflow, so that a restart continues its runs there; `folder` takes checkpoints and results;
    `settings` is the experiment file, uploaded to the parent run. Raises ValueError where config.baseline is none of the runs.
    """
    _check_baseline(config.baseline, runs)
    parent = open_sweep(
        tracking.uri,
        tracking.experiment,
        name,
        sweep_id=sweep_id,
        params={
            "trials": drawn_trials(config) or len(runs),
            "sweep": config,
            "rejected": load_inputs(runs[0].inputs).rejected,
        },
        files=[settings],
    )

    def open_run(run: RunConfig) -> TrackedRun:
        return open_trial(tracking.uri, parent.run_id, run.name, _params(run))

    outcomes, selections = _run(runs, folder, open_run, config, make_runs)
    for outcome in outcomes:
        publish_trial(outcome)
    best = crown(outcomes, tracking)
    results = publish_sweep(parent, name, outcomes, folder / "results", settings, config.baseline)
    if best is not None:
        with whole_text(folder / CHAMPION) as file:
            file.write(to_json(best))
    return SweepResult(parent, outcomes, best, results.intervals, selections)


def _run(
    runs: Sequence[RunConfig], folder: Path, open_run: OpenRun, config: SweepConfig, make_runs: MakeRuns
) -> tuple[list[Outcome], list[Selection]]:
    most, scheduler = config.max_concurrent, config.scheduler
    if scheduler is not None and scheduler.type == "hyperband":

        def run_until(some: Sequence[RunConfig], until: Mapping[str, int]) -> list[Outcome]:
            return run_trials(some, folder, open_run, max_concurrent=most, until=until)

        return run_brackets(runs, run_until, scheduler), []
    if isinstance(config.search, TPESearch):
        drawing = Drawing(axes_of(config), config.search, make_runs, folder / DRAWS)
        trials, reports = drawn_trials(config) or 0, max(run.reports for run in runs)
        return run_drawn(drawing, trials, reports, folder, open_run, max_concurrent=most, asha=scheduler), []

    def run_some(some: Sequence[RunConfig]) -> list[Outcome]:
        return run_trials(some, folder, open_run, max_concurrent=most, asha=scheduler)

    if isinstance(config.search, RoundRobinSearch):
        return run_rounds(runs, run_some, config.search, config.pool)
    return run_some(runs), []


def _check_baseline(baseline: str | None, runs: Sequence[RunConfig]) -> None:
    """Before anything is trained, for a comparison that fails would be noticed last."""
    names = list(dict.fromkeys(configuration_name(run.name, run.seed) for run in runs))
    if baseline is not None and baseline not in names:
        raise unknown("configuration", baseline, names, place="sweep.baseline")


def _params(run: RunConfig) -> dict[str, object]:
    """What distinguishes and defines a trial; the learning rates as they are after scaling stand in its curves."""
    return {"encoders": run.model.encoders, "connector": run.model.connector, "seed": run.seed, "stages": run.stages}
