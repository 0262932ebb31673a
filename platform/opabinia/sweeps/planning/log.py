"""A plan in MLflow, beside the sweeps that it is about."""

from __future__ import annotations

import time

from opabinia.sweeps.planning.plan import SweepPlan
from opabinia.sweeps.planning.report import TRIAL_COLUMNS, trial_rows
from opabinia.tracking.config import TrackingConfig
from opabinia.tracking.mlflow_runs import open_sweep
from opabinia.tracking.tracked_run import TrackedRun


def log_plan(plan: SweepPlan, text: str, tracking: TrackingConfig) -> TrackedRun:
    """Leave the plan as a run of its own. text: as it was printed. Raises ValueError when the server stays away."""
    started = time.strftime("%Y%m%d-%H%M%S")
    run = open_sweep(
        tracking.uri, tracking.experiment, f"{plan.name} (plan)", sweep_id=f"{plan.name}-plan-{started}",
        params={"trials": plan.trials, "at_once": plan.at_once, "device": plan.device},
    )  # fmt: skip
    sums = {
        "plan/device_hours": plan.device_hours, "plan/dollars": plan.dollars, "plan/wall_seconds": plan.wall_seconds,
        "plan/flops": plan.flops,
    }  # fmt: skip
    run.log({name: value for name, value in sums.items() if value is not None}, 0)
    run.log_text(text + "\n", "plan.txt")
    run.log_table(TRIAL_COLUMNS, trial_rows(plan), "plan.json")
    run.describe(f"```\n{text}\n```")
    run.finish()
    return run
