"""One MLflow run, open for writing: parameters, curves, tables and files."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from opabinia.tracking.connection import PATIENCE_S, ServerAwayError, call
from opabinia.tracking.digest import folder_digest
from opabinia.tracking.flatten import MAX_KEY, clean_name, flatten

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STATUS_TAG = "opabinia.status"
DIGEST_TAG = "opabinia.sha256"
"""Prefix of the tags that hold the digest of an uploaded folder: opabinia.sha256.<artifact path>."""
CHANGED_TAG = "opabinia.changed"
"""Prefix of the tags that hold what a restart changed; MLflow never overwrites a parameter."""

_NOTE_TAG = "mlflow.note.content"
_TABLES_TAG = "mlflow.loggedArtifacts"
_MAX_TAG = 8000
_MAX_METRICS = 1000
_MAX_PARAMS = 100
_LOG_PATIENCE_S = 5.0

FinalStatus = Literal["finished", "stopped", "failed", "killed"]

# A trial that the scheduler stopped did what it was asked to; MLflow's KILLED would show it as broken.
_MLFLOW_STATUS: Mapping[FinalStatus, str] = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "killed": "KILLED",
}

_logger = logging.getLogger(__name__)


class TrackedRun:
    """One MLflow run, open for writing. Picklable: a worker may write to it, one process at a time."""

    def __init__(self, uri: str, run_id: str, *, resumed: bool = False, interval_s: float = 1.0) -> None:
        """`interval_s` is how long metrics are gathered before they are sent as one batch, seconds."""
        self.uri = uri
        self.run_id = run_id
        self._resumed = resumed
        self._interval_s = interval_s
        self._pending: list[tuple[str, float, int, int]] = []
        self._taken_until: dict[str, int] = {}
        self._logged_until: dict[str, int] = {}
        self._sent_at = 0.0

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to each curve. While the server is away points are kept and sent later; training goes on.

        Steps that a curve already has are left out: after a failure or a restart they are told again.
        """
        now = int(time.time() * 1000)
        for name, value in ((clean_name(name), value) for name, value in metrics.items()):
            if step > self._taken_until.get(name, -1):
                self._pending.append((name, float(value), now, step))
                self._taken_until[name] = step
        if time.monotonic() - self._sent_at >= self._interval_s:
            self.push()

    def push(self) -> None:
        """Send what waits now, if the server answers within seconds."""
        try:
            self.flush(patience_s=_LOG_PATIENCE_S)
        except ServerAwayError as error:
            self._sent_at = time.monotonic() + _LOG_PATIENCE_S
            _logger.warning("%d points wait: %s", len(self._pending), error)

    def flush(self, *, patience_s: float = PATIENCE_S) -> None:
        """Send what waits. Raises ServerAwayError, keeping the points, when the server stays away."""
        from mlflow.entities import Metric

        if self._resumed:
            self._drop_logged(patience_s)
        while self._pending:
            batch = [Metric(*point) for point in self._pending[:_MAX_METRICS]]
            call(self.uri, lambda client, batch=batch: client.log_batch(self.run_id, batch), patience_s=patience_s)
            del self._pending[: len(batch)]
        self._sent_at = time.monotonic()

    def log_params(self, params: object) -> None:
        """Write a settings tree as flat parameters. What is there stays; a differing value becomes a tag instead."""
        call(self.uri, lambda client: _log_params(client, self.run_id, flatten(params)))

    def log_folder(self, folder: Path, artifact_path: str) -> str:
        """Upload a folder's files, also over an earlier upload, and return its digest, which becomes a tag."""
        digest = folder_digest(folder)
        self.flush()
        call(self.uri, lambda client: client.log_artifacts(self.run_id, str(folder), artifact_path))
        self.tag({f"{DIGEST_TAG}.{artifact_path}": digest})
        return digest

    def log_file(self, path: Path, artifact_path: str | None = None) -> None:
        """Upload one file, under its own name."""
        call(self.uri, lambda client: _log_file(client, self.run_id, path, artifact_path))

    def log_text(self, text: str, artifact_file: str) -> None:
        """Upload text as a file."""
        call(self.uri, lambda client: client.log_text(self.run_id, text, artifact_file))

    def log_table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], artifact_file: str) -> None:
        """Upload a table that MLflow's evaluation view shows. `artifact_file` ends in .json; a second call replaces it.

        MlflowClient.log_table appends instead, which would repeat every row after a restart.
        """
        table = {"columns": list(columns), "data": [list(row) for row in rows]}
        call(self.uri, lambda client: _log_table(client, self.run_id, table, artifact_file))

    def tag(self, tags: Mapping[str, object]) -> None:
        """Set tags; each replaces its earlier value."""
        for name, value in tags.items():
            call(
                self.uri,
                lambda client, name=name, value=value: client.set_tag(
                    self.run_id, clean_name(name), str(value)[:_MAX_TAG]
                ),
            )

    def describe(self, markdown: str) -> None:
        """Show this text at the head of the run's page."""
        self.tag({_NOTE_TAG: markdown})

    def finish(self, status: FinalStatus = "finished") -> None:
        """Send what waits and close the run."""
        self.flush()
        self.tag({STATUS_TAG: status})
        call(self.uri, lambda client: client.set_terminated(self.run_id, _MLFLOW_STATUS[status]))

    def _drop_logged(self, patience_s: float) -> None:
        for name in {point[0] for point in self._pending} - self._logged_until.keys():
            history = call(
                self.uri, lambda client, name=name: client.get_metric_history(self.run_id, name), patience_s=patience_s
            )
            self._logged_until[name] = max((metric.step for metric in history), default=-1)
        self._pending = [point for point in self._pending if point[3] > self._logged_until[point[0]]]


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param, RunTag

    present = client.get_run(run_id).data.params
    new = [Param(name, value) for name, value in params.items() if name not in present]
    changed = {name: value for name, value in params.items() if present.get(name, value) != value}
    for start in range(0, len(new), _MAX_PARAMS):
        client.log_batch(run_id, params=new[start : start + _MAX_PARAMS])
    for name, value in changed.items():
        _logger.warning("run %s was opened with %s=%s and goes on with %s", run_id, name, present[name], value)
        client.log_batch(run_id, tags=[RunTag(f"{CHANGED_TAG}.{name}"[:MAX_KEY], value)])


def _log_file(client: MlflowClient, run_id: str, path: Path, artifact_path: str | None) -> None:
    client.log_artifact(run_id, str(path), artifact_path)


def _log_table(client: MlflowClient, run_id: str, table: Mapping[str, object], artifact_file: str) -> None:
    client.log_dict(run_id, dict(table), artifact_file)
    tables = json.loads(client.get_run(run_id).data.tags.get(_TABLES_TAG, "[]"))
    entry = {"path": artifact_file, "type": "table"}
    if entry not in tables:
        client.set_tag(run_id, _TABLES_TAG, json.dumps([*tables, entry]))
