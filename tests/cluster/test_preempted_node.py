"""A notice of the metadata server reaches what runs on the machine: real Ray nodes, and a stand-in for that server.

The watcher is started by the line in the cluster files, in the shell that Ray's launcher runs it in.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from ray.autoscaler._private.command_runner import _with_interactive

from opabinia.cluster import preemption
from opabinia.cluster.processes import MARK_VARIABLE, Started, end, family
from tests.cluster.metadata_server import MetadataServer, metadata_server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TOKEN = uuid4().hex


@dataclass
class RayCluster:
    """The program that holds a cluster together: a line for a line."""

    folder: Path
    environment: dict[str, str]

    def start(self) -> None:
        port = free_port()
        self.program = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster.preempted_cluster", str(self.folder), f"{port}"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.head = self.answer()

    def ask(self, verb: str, *words: str) -> Any:
        assert self.program.stdin is not None
        self.program.stdin.write(" ".join([verb, *words]) + "\n")
        self.program.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        assert self.program.stdout is not None
        line = self.program.stdout.readline()
        assert line, "the cluster's program has ended"
        return json.loads(line)

    def stop(self) -> None:
        """End it with everything that it started, watchers too."""
        started = psutil.Process(self.program.pid)
        mark = self.environment[MARK_VARIABLE]
        end(family(Started(started.pid, started.create_time(), mark)))
        self.program.wait()


def remembered() -> str | None:
    """The cluster that Ray, asked for none, would join on this machine."""
    file = Path("/tmp/ray/ray_current_cluster")
    return file.read_text() if file.exists() else None


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    # Not pytest's folder: the names of Ray's sockets would grow too long.
    folder = Path("/tmp") / f"opabinia-{TOKEN[:8]}"
    folder.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    settings = {
        "RAY_TMPDIR": str(folder),
        # Nobody's: Ray Train would ask any Ray on this machine whether a run still lives.
        "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        # Loopback addresses stay what they are.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5",
        # The node that ends still counts as free when the run is to begin anew; this is how soon Ray Train sees.
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "20",
        MARK_VARIABLE: uuid4().hex,
    }
    started = RayCluster(folder, {**clean, **settings, "OMP_NUM_THREADS": "1"})
    before = remembered()
    try:
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert remembered() == before


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with metadata_server() as server:
        yield server


@dataclass(frozen=True)
class Machine:
    """A machine of a cluster: its Ray node, and what the watcher on it has written."""

    node_id: str
    log: Path

    def lines(self, part: str) -> list[str]:
        # The shell that started the watcher does not wait for it.
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text().splitlines() if part in line]


@pytest.fixture
def machine(cluster: RayCluster, server: MetadataServer, tmp_path: Path) -> Machine:
    """A worker of the cluster, where the watcher was started as on Google Cloud."""
    # Of this machine, and of this run of the tests only.
    address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    node_id = cluster.ask("add", address)
    launch_watcher(cluster, server, tmp_path, address)
    machine = Machine(node_id, cluster.folder / "ray" / "session_latest" / "logs" / "preemption-watch.log")
    wait_until(lambda: bool(machine.lines(f"watching {server.host} for Ray node {node_id}")))
    return machine


def launch_watcher(cluster: RayCluster, server: MetadataServer, home: Path, address: str) -> None:
    """Run the cluster file's last line for a worker, in a home with the files that the cluster file has copied."""
    config = yaml.safe_load((ROOT / "clusters" / "gcp-gpu.yaml").read_text())
    watcher = "~/opabinia/preemption.py"
    (home / "opabinia").mkdir()
    shutil.copy(ROOT / config["file_mounts"][watcher], home / "opabinia" / "preemption.py")
    (home / ".bashrc").write_text(f'export PATH="{Path(sys.executable).parent}:$PATH"\n')
    # Several nodes on one machine, and their folder elsewhere than usual, are all that is different here.
    line = config["worker_start_ray_commands"][-1].replace("/tmp/ray/", f"{cluster.folder}/ray/")
    line = line.replace(watcher, f"{watcher} --node-ip-address {address}")
    environment = {name: value for name, value in cluster.environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        " ".join(_with_interactive(line)),
        shell=True,
        env={**environment, "HOME": str(home), preemption._HOST_VARIABLE: server.host},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_notice_drains_the_node_of_its_machine_and_no_other(
    cluster: RayCluster, server: MetadataServer, machine: Machine
) -> None:
    assert cluster.ask("settle", machine.node_id) == machine.node_id
    server.put("maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
    server.fail("503", "reset", "stranger")
    wait_until(lambda: not server.faults)
    assert cluster.ask("draining") == {}
    assert {machine.node_id, cluster.head} <= set(cluster.ask("staying"))

    noticed = time.time()
    server.put("preempted", "TRUE")
    wait_until(lambda: machine.node_id in cluster.ask("draining"))
    draining = cluster.ask("draining")
    assert list(draining) == [machine.node_id]
    assert machine.node_id not in cluster.ask("staying")
    assert cluster.head in cluster.ask("staying")
    assert 30 <= draining[machine.node_id] / 1000 - noticed < 37

    # What is there may finish; nothing new comes, and elsewhere all is as before.
    assert cluster.ask("visit", machine.node_id) == machine.node_id
    assert not cluster.ask("accepts_work", machine.node_id)
    assert cluster.ask("accepts_work", cluster.head)

    # A notice with more time is no news.
    server.put("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
    time.sleep(2)
    assert cluster.ask("draining") == draining

    cluster.ask("leave", machine.node_id)
    assert cluster.ask("death", machine.node_id) == "AUTOSCALER_DRAIN_PREEMPTED"
    assert machine.node_id not in cluster.ask("staying")
    wait_until(lambda: bool(machine.lines("has ended")))
    (line,) = machine.lines("draining")
    assert f"draining Ray node {machine.node_id}: instance/preempted is TRUE, " in line


def workers(cluster: RayCluster) -> dict[int, str]:
    """The ranks of a run that train by now, and their nodes."""
    running = {int(file.name.split("-")[1]): file.read_text() for file in cluster.folder.glob("running-*")}
    return {rank: node_id for rank, node_id in running.items() if node_id}


def test_a_training_run_hears_of_it_saves_and_goes_on_elsewhere(
    cluster: RayCluster, server: MetadataServer, machine: Machine
) -> None:
    with ThreadPoolExecutor(1) as beside:
        run = beside.submit(cluster.ask, "train")
        wait_until(lambda: len(workers(cluster)) == 2, 120)
        (rank,) = [rank for rank, node_id in workers(cluster).items() if node_id == machine.node_id]
        noticed = time.time()
        server.put("preempted", "TRUE")
        wait_until(lambda: len(list(cluster.folder.glob("saved-*"))) == 2)
        assert time.time() < noticed + 30
        metrics = run.result(timeout=240)
    assert metrics["ranks"] == {machine.node_id: [rank]}
    assert 30 <= metrics["deadline_ms"] / 1000 - noticed < 37
    assert metrics["workers"] == 1
