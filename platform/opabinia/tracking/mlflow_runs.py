"""A sweep as a parent run and its trials as nested runs; a restart finds them again and makes no second copy."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.tracking.connection import call
from opabinia.tracking.tracked_run import TrackedRun

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

SWEEP_TAG = "opabinia.sweep"
TRIAL_TAG = "opabinia.trial"

_PARENT_TAG = "mlflow.parentRunId"
# Without it MLflow opens its pages for agents, where neither the list of runs nor their charts are to be found.
_VIEW = "?workflowType=machine_learning"


def open_sweep(
    tracking_uri: str,
    experiment_name: str,
    name: str,
    *,
    sweep_id: str,
    params: object,
    files: Sequence[Path] = (),
) -> TrackedRun:
    """Open the parent run of a sweep: a new one, or the one that has this `sweep_id`.

    `params` is any settings tree; `files` are uploaded beside it. Raises ValueError when the server stays away or the
    experiment was deleted.
    """
    experiment = call(tracking_uri, lambda client: _experiment(client, experiment_name))
    run = _open_run(tracking_uri, experiment, name, {SWEEP_TAG: sweep_id})
    run.log_params(params)
    for path in files:
        run.log_file(path)
    return run


def open_trial(
    tracking_uri: str, parent_run_id: str, name: str, params: object, *, trial_id: str | None = None
) -> TrackedRun:
    """Open a run nested in the sweep's: a new one, or the one of this trial. `trial_id` is the name where not given."""
    parent = call(tracking_uri, lambda client: client.get_run(parent_run_id))
    tags = {_PARENT_TAG: parent_run_id, TRIAL_TAG: trial_id or name}
    run = _open_run(tracking_uri, parent.info.experiment_id, name, tags)
    run.log_params(params)
    return run


def run_page(tracking_uri: str, run_id: str) -> str:
    """Where a browser shows the run, with its nested runs, files and charts."""
    experiment = call(tracking_uri, lambda client: client.get_run(run_id).info.experiment_id)
    return f"{tracking_uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}{_VIEW}"


def runs_page(tracking_uri: str, run_id: str) -> str:
    """Where a browser lists and compares every run of the experiment that this run belongs to."""
    experiment = call(tracking_uri, lambda client: client.get_run(run_id).info.experiment_id)
    return f"{tracking_uri.rstrip('/')}/#/experiments/{experiment}/runs{_VIEW}"


def _experiment(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name)
        except MlflowException:
            # Another process may have created it a moment ago.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise ValueError(f"tracking.experiment: {name!r} was deleted in MLflow; restore it or choose another")
    return found.experiment_id


def _open_run(uri: str, experiment: str, name: str, tags: Mapping[str, str]) -> TrackedRun:
    """Find the run that carries all these tags, or create it with them, which MLflow does in one step."""
    existing = call(uri, lambda client: _find_run(client, experiment, tags))
    if existing:
        call(uri, lambda client: client.update_run(existing.info.run_id, "RUNNING", name))
        return TrackedRun(uri, existing.info.run_id, resumed=True)
    every = {**tags, "mlflow.user": getpass.getuser()}
    created = call(uri, lambda client: client.create_run(experiment, tags=every, run_name=name))
    return TrackedRun(uri, created.info.run_id)


def _find_run(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> Run | None:
    query = " and ".join(f"tags.`{name}` = '{_quotable(value)}'" for name, value in tags.items())
    found = client.search_runs([experiment], query, max_results=1, order_by=["attributes.start_time ASC"])
    return found[0] if found else None


def _quotable(value: str) -> str:
    if "'" in value or '"' in value:
        raise ValueError(f"tracking: the identifier {value!r} holds a quotation mark, which MLflow cannot search for")
    return value
