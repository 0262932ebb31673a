"""The real services of one machine: started, used, broken, mended and stopped, in this order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from opabinia.cluster.ports import is_free
from opabinia.cluster.processes import family
from opabinia.cluster.records import Record, read_record
from tests.cluster.ports import free_ports

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Machine:
    """A folder with services of its own, on ports of their own, of a user without a Ray token."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def cluster(self, *words: str) -> str:
        done = self.run("opabinia.cluster", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def exports(self) -> dict[str, str]:
        lines = self.cluster("env").splitlines()
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def submit(self, *words: str, **more: str) -> str:
        done = self.run("ray.scripts.scripts", "job", "submit", *words, **{**self.exports(), **more})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def record(self, name: str) -> Record:
        record = read_record(self.folder / "runs" / ".local", name)
        assert record is not None
        return record


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    foreign = ("RAY_", "MLFLOW_", "OPABINIA_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    # As left over in a shell that has used another cluster before.
    stale = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}
    machine = Machine(folder, {**clean, **stale, "HOME": str(folder), **free_ports()})
    machine.cluster("up")
    yield machine
    machine.cluster("down")


def test_both_services_answer_and_say_where_they_are(machine: Machine) -> None:
    lines = machine.cluster("status").splitlines()
    assert [line.split()[:2] for line in lines] == [["Ray", "running"], ["MLflow", "running"]]
    exports = machine.exports()
    assert exports["RAY_AUTH_MODE"] == "token"
    assert exports["RAY_API_SERVER_ADDRESS"] == machine.record("ray").url
    assert exports["MLFLOW_TRACKING_URI"] == machine.record("mlflow").url


def test_they_listen_on_the_loopback_interface_only(machine: Machine) -> None:
    members = {process.pid for name in ("ray", "mlflow") for process in family(machine.record(name).started)}
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in members
    }
    assert listening == {"127.0.0.1"}


def test_starting_them_again_changes_nothing(machine: Machine) -> None:
    before = (machine.record("ray"), machine.record("mlflow"))
    began = time.monotonic()
    assert machine.cluster("up").count("already running") == 2
    assert time.monotonic() - began < 10
    assert (machine.record("ray"), machine.record("mlflow")) == before


def test_another_port_for_what_already_runs_is_refused(machine: Machine) -> None:
    done = machine.run("opabinia.cluster", "up", "mlflow", "--mlflow-port", "5999")
    assert done.returncode == 2
    running = machine.record("mlflow").ports["mlflow_port"]
    expected = f"MLflow already runs with port {running}; run `make stop` before choosing 5999"
    assert done.stderr.splitlines() == [expected]


def test_a_new_token_guards_ray(machine: Machine) -> None:
    token = Path(machine.exports()["RAY_AUTH_TOKEN_PATH"])
    assert token.parent == machine.folder / "runs" / ".local"
    assert token.stat().st_mode & 0o077 == 0
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{machine.record('ray').url}/api/jobs/", timeout=30)
    assert refused.value.code == 401


def test_a_submitted_job_runs_in_the_folder_with_the_same_python(machine: Machine) -> None:
    script = "import os, sys; print('found', os.getcwd(), sys.executable)"
    (machine.folder / "job.py").write_text(script)
    assert f"found {machine.folder} {sys.executable}" in machine.submit("--", "python", "job.py")


def test_a_job_is_told_of_its_own_cluster_and_no_other(machine: Machine) -> None:
    (machine.folder / "told.py").write_text("import os; print('told', os.environ['RAY_API_SERVER_ADDRESS'])")
    assert f"told {machine.record('ray').url}" in machine.submit("--", "python", "told.py")


def test_a_job_can_bring_the_package_with_it(machine: Machine) -> None:
    code = (
        "import json, os, ray, connectors, opabinia; ray.init(log_to_driver=False); "
        "inside = ray.get(ray.remote(lambda: __import__('opabinia').__file__).remote()); "
        "print(json.dumps([os.getcwd(), connectors.__file__, opabinia.__file__, inside, sorted(os.listdir())]))"
    )
    runtime_env = str(ROOT / "clusters" / "runtime_env.yaml")
    # `python -c` would lose its quotes on the way through the job's shell.
    (machine.folder / "where.py").write_text(code)
    output = machine.submit(
        "--working-dir", str(ROOT), "--runtime-env", runtime_env, "--", "python", str(machine.folder / "where.py")
    )
    (line,) = [line for line in output.splitlines() if line.startswith("[")]
    folder, ours, library, in_a_worker, listing = json.loads(line)
    assert Path(folder).name.startswith("_ray_pkg_")
    assert Path(ours) == Path(folder) / "connectors" / "__init__.py"
    assert Path(library) == Path(in_a_worker) == Path(folder) / "platform" / "opabinia" / "__init__.py"
    assert not {".git", ".venv", "runs", "tests"} & set(listing)


def test_mlflow_keeps_runs_and_serves_artifacts(machine: Machine) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=machine.record("mlflow").url)
    run = client.create_run(client.create_experiment("trial")).info.run_id
    client.log_metric(run, "score", 61.5)
    client.log_text(run, "seven", "answers/one.txt")
    assert client.get_run(run).data.metrics == {"score": 61.5}
    kept = list((machine.folder / "runs" / "mlflow" / "artifacts").rglob("one.txt"))
    assert [file.read_text() for file in kept] == ["seven"]


def test_a_service_that_died_is_mended_and_the_other_left_alone(machine: Machine) -> None:
    before = {name: machine.record(name) for name in ("ray", "mlflow")}
    os.kill(before["ray"].started.pid, signal.SIGKILL)
    status = machine.run("opabinia.cluster", "status")
    assert status.returncode == 1
    assert status.stdout.splitlines()[0].split()[:2] == ["Ray", "dead"]

    lines = machine.cluster("up").splitlines()
    assert "started in" in lines[0]
    assert "already running" in lines[1]
    assert family(before["ray"].started) == []
    assert not Path(before["ray"].scratch or "").exists()
    assert machine.record("mlflow") == before["mlflow"]


def test_stopping_ends_jobs_too_and_leaves_only_logs_and_results(machine: Machine) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    (machine.folder / "endless.py").write_text(script)
    machine.submit("--no-wait", "--", "python", "endless.py")
    records = {name: machine.record(name) for name in ("ray", "mlflow")}
    members = wait_for_command(records["ray"], "time.sleep(600)") + family(records["mlflow"].started)

    assert machine.cluster("down") == "stopped Ray and MLflow\n"
    assert [process for process in members if process.is_running() and process.status() != "zombie"] == []
    assert all(is_free(port) for record in records.values() for port in record.ports.values())
    assert not Path(records["ray"].scratch or "").exists()
    kept = {path.name for path in (machine.folder / "runs" / ".local").iterdir()}
    assert kept == {"auth_token", "lock", "ray.log", "mlflow.log", "ray-logs"}
    assert machine.cluster("down") == "nothing to stop\n"


def wait_for_command(record: Record, part: str) -> Sequence[psutil.Process]:
    """Return the members of a service as soon as one of them was started by a command with `part` in it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        members = family(record.started)
        if any(part in command_line(process) for process in members):
            return members
        time.sleep(0.2)
    raise AssertionError(f"no process with {part!r} in its command")


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
