"""The MLflow tracking server of this machine: SQLite, artifacts through the server, loopback only."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from opabinia.cluster.answering import fetch
from opabinia.cluster.config import LocalConfig
from opabinia.cluster.launch import Launch, Service
from opabinia.cluster.ports import LOOPBACK
from opabinia.cluster.records import Record

_LIGHT = {
    # Runs evaluations inside the server: eight more processes, 440 MB, and nothing of ours uses them.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def _plan(config: LocalConfig, environment: Mapping[str, str]) -> Launch:
    folder = config.mlflow_folder
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "artifacts-destination": str(folder / "artifacts"),
        "host": LOOPBACK,
        "port": config.mlflow_port,
        "workers": 1,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    url = f"http://{LOOPBACK}:{config.mlflow_port}"
    return Launch(
        command=(sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *flags),
        environment={**_LIGHT, **environment},
        url=url,
        exports={"MLFLOW_TRACKING_URI": url},
    )


def _answers(record: Record) -> bool:
    return fetch(f"{record.url}/health") == b"OK"


MLFLOW = Service("mlflow", "MLflow", ("mlflow_port",), _plan, _answers)
