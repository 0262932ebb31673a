"""Runs on a Ray cluster that loses a machine: suddenly, and after a notice."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from opabinia.cluster.preemption import RayNode, _drainer, find_node
from tests.cluster.test_preempted_node import free_port, remembered
from tests.e2e.disturbed import (
    ALL_STEPS,
    Driver,
    end_all,
    finish,
    kill_all,
    newest_manifest,
    points,
    saved_step,
    start,
    start_program,
    state_of,
    wait_for_step,
    wait_until,
)
from tests.e2e.small_run import STEPS

pytestmark = pytest.mark.e2e

# Workers of 0.6 CPUs, of which a machine has room for one.
ELASTIC = {"count": 2, "at_least": 1, "cpus": 0.6}
NOTICE_S = 12


@dataclass
class Running:
    """A run on a cluster. `other`: the address of the machine that is not the head."""

    folder: Path
    other: str
    driver: Driver

    @property
    def node(self) -> RayNode:
        return find_node(self.other)

    def reached(self) -> int:
        file = self.folder / "reached"
        return int(file.read_text() or 0) if file.exists() else 0

    def open_gate(self, step: int) -> None:
        (self.folder / "new-gate").write_text(f"{step}")
        (self.folder / "new-gate").replace(self.folder / "gate")

    def wait_until_reached(self, step: int) -> None:
        wait_until(lambda: self.reached() >= step, self.driver, self.folder)


@pytest.fixture
def run_on_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts a run; everything of it has ended and nothing is left when the test is over."""
    ray_folder = tempfile.mkdtemp(prefix="opabinia-", dir="/tmp")
    settings = {
        # Names of sockets must be short; and Ray remembers there which cluster is the current one.
        "RAY_TMPDIR": ray_folder,
        # Loopback addresses stay what they are.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        # How soon Ray sees that a machine has ended, or will; usually 5 to 15 seconds.
        "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "0.5",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
        # A machine that has just ended may still count as there; this is how soon the run begins without it.
        "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "20",
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "6",
    }
    before, started = remembered(), list[Driver]()

    def begin(*, gate: int | None = None, **changes: Any) -> Running:
        other = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        if gate is not None:
            (tmp_path / "gate").write_text(f"{gate}")
        started.append(start_program("cluster_run", tmp_path, changes, other, f"{free_port()}", **settings))
        return Running(tmp_path, other, started[-1])

    yield begin
    for driver in started:
        end_all(driver)
    shutil.rmtree(ray_folder, ignore_errors=True)
    assert remembered() == before


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(start(folder), folder)


def test_a_machine_that_ends_without_notice_costs_one_failure_and_no_sample(
    undisturbed: dict[int, float], run_on_cluster: Any
) -> None:
    run: Running = run_on_cluster(workers={**ELASTIC, "max_failures": 1})
    wait_for_step(run.driver, run.folder, random.randint(2, ALL_STEPS - 8))
    end_machine(run.node)
    assert finish(run.driver, run.folder) == pytest.approx(undisturbed, rel=1e-5)
    assert written_by(state_of(run.folder)) == 1


def end_machine(node: RayNode) -> None:
    raylet = psutil.Process(int(node.process.name))
    kill_all([raylet, *raylet.children(recursive=True)])


def written_by(state: Path) -> int:
    """How many workers wrote the newest checkpoint."""
    manifest = newest_manifest(state)
    assert manifest is not None
    return json.loads(manifest.read_text())["workers"]


@pytest.mark.parametrize("notice", [NOTICE_S, 10 * NOTICE_S], ids=["in time", "before its time"])
def test_a_notice_leads_to_a_checkpoint_from_which_the_run_goes_on_and_to_no_failure(
    undisturbed: dict[int, float], run_on_cluster: Any, notice: float
) -> None:
    # In the second stage, for a report is saved too when the workers will begin anew.
    run: Running = run_on_cluster(gate=STEPS[0] + 1, workers=ELASTIC, checkpoints={"every_minutes": None})
    run.wait_until_reached(STEPS[0] + 2)
    node = run.node
    assert saved_step(run.folder) == STEPS[0]
    assert _drainer(node)("the machine will end", time.time() + notice) is None

    facts = wait_for_checkpoint(run)
    if notice > NOTICE_S:
        end_machine(node)
    # Until the machine ends its workers train on, for nothing; the other machine's may meet its end in the midst of a step.
    train_slowly_while(run, node)
    run.open_gate(ALL_STEPS)

    assert finish(run.driver, run.folder) == pytest.approx(undisturbed, rel=1e-5)
    assert written_by(state_of(run.folder)) == 1
    # Steps up to the checkpoint were made once: what was measured in them is what was measured then.
    reported = {point["step"]: point for point in points(run.folder)}
    assert [reported[point["step"]] for point in facts["curve"]] == facts["curve"]


def wait_for_checkpoint(run: Running) -> dict[str, Any]:
    """Step by step, until one is saved; what it tells of the run."""
    deadline = time.monotonic() + NOTICE_S
    while (step := saved_step(run.folder)) == STEPS[0]:
        assert time.monotonic() < deadline, "no checkpoint before the machine ended"
        run.open_gate(run.reached())
        time.sleep(0.2)
    manifest = newest_manifest(state_of(run.folder))
    assert manifest is not None
    facts = json.loads(manifest.read_text())["facts"]
    assert STEPS[0] + 2 < facts["steps"] == step < ALL_STEPS - 4
    assert facts["curve"][-1]["step"] == step
    return facts


def train_slowly_while(run: Running, node: RayNode) -> None:
    """While the machine is there."""
    saved = saved_step(run.folder)
    while node.is_running():
        run.open_gate(min(run.reached(), ALL_STEPS - 3))
        # One checkpoint for one notice, whoever hears of it when.
        assert saved_step(run.folder) == saved
        time.sleep(0.4)
