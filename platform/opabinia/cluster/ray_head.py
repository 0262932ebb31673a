"""The Ray head of this machine: loopback only, token authentication, dashboard and job API."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from opabinia.cluster.answering import fetch
from opabinia.cluster.auth import read_token, token_file
from opabinia.cluster.config import LocalConfig
from opabinia.cluster.launch import Launch, Service
from opabinia.cluster.ports import LOOPBACK
from opabinia.cluster.records import Record
from opabinia.cluster.resources import usable_cpus

_SOCKET_ROOM = 40
"""Longest temporary folder whose sockets still have names that the system accepts (107 bytes)."""

_LOOPBACK_ONLY = {
    # On Linux, Ray replaces a loopback address by the network interface's and listens on all of them; this switch,
    # made for other systems, keeps it on loopback. Its clients need it too, or they would look elsewhere.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A line for every run that ends; a sweep says where its page is once.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

_LIGHT = {
    "RAY_START_HOOK": "opabinia.cluster.ray_start.leave_out_extras",
    # Workers that wait for the next task keep their imports; by default they end after a second.
    "RAY_idle_worker_killing_time_threshold_ms": "60000",
    # Nobody gathers them here, and each Train run would start one more process.
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # How often a run's controller looks at its workers; short runs spend most of their time between two looks.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
}


def _plan(config: LocalConfig, environment: Mapping[str, str]) -> Launch:
    scratch = _scratch_folder()
    exports = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file(config.state_folder, environment)),
        "RAY_ADDRESS": f"{LOOPBACK}:{config.ray_port}",
        "RAY_API_SERVER_ADDRESS": f"http://{LOOPBACK}:{config.dashboard_port}",
        **_LOOPBACK_ONLY,
    }
    return Launch(
        command=_command(config, scratch),
        environment=_environment(environment, exports),
        url=exports["RAY_API_SERVER_ADDRESS"],
        exports=exports,
        scratch=scratch,
    )


def _command(config: LocalConfig, scratch: str) -> tuple[str, ...]:
    options = {
        "node-ip-address": LOOPBACK,
        "port": config.ray_port,
        "dashboard-host": LOOPBACK,
        "dashboard-port": config.dashboard_port,
        "num-cpus": config.cpus or usable_cpus(),
        "object-store-memory": config.object_store_mb * 2**20,
        "temp-dir": scratch,
        # 0 means any free port; the fixed defaults would keep a second Ray off this machine.
        "dashboard-agent-listen-port": 0,
        "min-worker-port": 0,
        "max-worker-port": 0,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    return (sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats", *flags)


def _environment(environment: Mapping[str, str], exports: Mapping[str, str]) -> dict[str, str]:
    """Return what Ray, its workers and the jobs submitted to it will find in their environment."""
    ours = str(Path(sys.executable).parent)
    # A submitted job says `python jobs/...`, and means the Python that this runs in.
    path = os.pathsep.join([ours, environment.get("PATH", os.defpath)])
    # Here it would name a cluster to join instead of the one to start.
    left_out = {"RAY_ADDRESS", "RAY_AUTH_TOKEN"}
    kept = {name: value for name, value in environment.items() if name not in left_out}
    # The address of the job API is set to ours: Ray Train asks there whether a stopped run may give its processors back, and
    # would wait for ever on another cluster's, left over in the user's shell.
    needed = {name: value for name, value in exports.items() if name != "RAY_ADDRESS"}
    return {**_QUIET, **_LIGHT, **kept, **needed, "PATH": path}


def _scratch_folder() -> str:
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="opabinia-", dir=usual if len(usual) < _SOCKET_ROOM else "/tmp")


def _answers(record: Record) -> bool:
    """Tell whether the head takes jobs: its API answers to our token and its own node has joined."""
    try:
        token = read_token(Path(record.exports["RAY_AUTH_TOKEN_PATH"]))
    except OSError:
        return False
    body = fetch(f"{record.url}/nodes?view=summary", token=token)
    return body is not None and any(
        node["raylet"].get("state") == "ALIVE" for node in json.loads(body)["data"]["summary"]
    )


RAY = Service("ray", "Ray", ("ray_port", "dashboard_port"), _plan, _answers)
