"""The command lines `python -m opabinia.cluster` and `python -m opabinia`, as far as no service is needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from opabinia.cluster.config import PORT_VARIABLES
from tests.cluster.ports import free_ports


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in PORT_VARIABLES.values()}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def only_line(text: str) -> str:
    lines = text.splitlines()
    assert len(lines) == 1, text
    return lines[0]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("up", "--help"), ("down", "-h")])
def test_help_names_verbs_and_fields_at_once(tmp_path: Path, arguments: Sequence[str]) -> None:
    began = time.monotonic()
    done = run("opabinia.cluster", *arguments, folder=tmp_path)
    assert time.monotonic() - began < 5
    assert done.returncode == 0
    for word in ("up ", "down ", "status ", "env ", "--ray-port", "--mlflow-port", "--object-store-mb"):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("upp",), "did you mean 'up'?"),
        (("up", "mlfow"), "did you mean 'mlflow'?"),
        (("up", "--mlflow-prt", "5001"), "did you mean 'mlflow_port'?"),
        (("up", "--ray-port", "many"), "--ray-port: expected a whole number"),
        (("up", "--ray-port", "5000"), "must differ"),
        (("env",), "no service runs"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(tmp_path: Path, arguments: Sequence[str], hint: str) -> None:
    done = run("opabinia.cluster", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert hint in only_line(done.stderr)


@pytest.mark.parametrize(
    ("field", "title"), [("ray_port", "Ray"), ("dashboard_port", "Ray"), ("mlflow_port", "MLflow")]
)
def test_a_busy_port_is_one_line_with_its_holder_and_the_way_out(tmp_path: Path, field: str, title: str) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        done = run("opabinia.cluster", "up", folder=tmp_path, **{**free_ports(), PORT_VARIABLES[field]: f"{port}"})
    line = only_line(done.stderr)
    assert done.returncode == 2
    assert line.startswith(f"port {port} ({title}) is taken by ")
    assert f"(pid {os.getpid()})" in line
    assert f"{PORT_VARIABLES[field]}=NUMBER" in line
    assert f"--{field.replace('_', '-')} NUMBER" in line


def test_nothing_is_left_running_after_a_busy_port(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        ports = {**free_ports(), "OPABINIA_MLFLOW_PORT": f"{server.getsockname()[1]}"}
        run("opabinia.cluster", "up", folder=tmp_path, **ports)
    status = run("opabinia.cluster", "status", folder=tmp_path)
    assert status.stdout.split() == ["Ray", "stopped", "MLflow", "stopped"]


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    done = run("opabinia.cluster", "down", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "nothing to stop\n")


def test_status_fails_unless_all_services_run(tmp_path: Path) -> None:
    done = run("opabinia.cluster", "status", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("stopped") == 2


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("encoders", "burgess/caption-vit"),
        ("connectors", "sva"),
        ("benchmarks", "vision_centric"),
        ("doctor", "CPU cores"),
    ],
)
def test_small_verbs_list_what_there_is(tmp_path: Path, verb: str, expected: str) -> None:
    done = run("opabinia", verb, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_an_unknown_small_verb_names_the_nearest(tmp_path: Path) -> None:
    done = run("opabinia", "encoder", folder=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'encoders'?" in only_line(done.stderr)


def test_doctor_keeps_secrets_to_itself(tmp_path: Path) -> None:
    tracking = "http://user:hunter2@example.org"
    done = run("opabinia", "doctor", folder=tmp_path, RAY_AUTH_TOKEN="s3cret", MLFLOW_TRACKING_URI=tracking)
    assert "RAY_AUTH_TOKEN=(set)" in done.stdout
    assert "MLFLOW_TRACKING_URI=http://(set)@example.org" in done.stdout
    assert "s3cret" not in done.stdout
    assert "hunter2" not in done.stdout
