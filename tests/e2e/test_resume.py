"""Runs that are killed go on where they were: the same losses, whoever died and however many workers come back."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.small_run import STEPS

pytestmark = pytest.mark.e2e

NAME = "quickstart"
PATIENCE_S = 300


def start(folder: Path, **workers: Any) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.e2e.small_run", str(folder), json.dumps(workers)]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(driver: subprocess.Popen[bytes], folder: Path) -> dict[int, float]:
    """Losses by step. The same step may have been reported twice, but never with two losses."""
    assert driver.wait(PATIENCE_S) == 0, (folder / "log.txt").read_text()[-3000:]
    losses = dict[int, float]()
    for line in (folder / "curve.jsonl").read_text().splitlines():
        point = json.loads(line)
        assert losses.setdefault(point["step"], point["loss"]) == point["loss"]
    assert sorted(losses) == list(range(1, sum(STEPS) + 1))
    return losses


def saved_step(folder: Path) -> int:
    """The step of the newest complete checkpoint."""
    manifests = (folder / "runs" / NAME / "state").glob("*/manifest.json")
    return max((int(manifest.parent.name.split("-")[1]) for manifest in manifests), default=0)


def wait_for_step(driver: subprocess.Popen[bytes], folder: Path, step: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while saved_step(folder) < step:
        assert driver.poll() is None, (folder / "log.txt").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def below(driver: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """Processes that the driver's Ray started and whose command line holds `name`."""
    found = list[psutil.Process]()
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def end_all(driver: subprocess.Popen[bytes]) -> None:
    """Nothing of a killed driver's Ray may live on and write."""
    processes = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(processes, timeout=30)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(start(folder), folder)


@pytest.fixture(scope="module")
def alone_and_killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("killed")
    yield folder
    shutil.rmtree(folder)


def test_a_worker_that_is_killed_again_and_again_changes_no_loss(
    undisturbed: dict[int, float], alone_and_killed: Path
) -> None:
    driver = start(alone_and_killed, max_failures=3)
    for step in (random.randint(1, STEPS[0] - 1), STEPS[0] + random.randint(1, STEPS[1] - 4)):
        wait_for_step(driver, alone_and_killed, step)
        for worker in below(driver, "RayTrainWorker"):
            worker.kill()
    assert finish(driver, alone_and_killed) == undisturbed


def test_after_the_driver_and_its_ray_were_killed_the_same_command_goes_on(
    undisturbed: dict[int, float], tmp_path: Path
) -> None:
    step = random.randint(2, sum(STEPS) - 4)
    driver = start(tmp_path)
    wait_for_step(driver, tmp_path, step)
    end_all(driver)
    # What was cut off in the middle of a write is there now, and must not be taken for a checkpoint.
    assert saved_step(tmp_path) >= step
    assert finish(start(tmp_path), tmp_path) == undisturbed


def test_another_number_of_workers_goes_on_with_the_same_losses(undisturbed: dict[int, float], tmp_path: Path) -> None:
    driver = start(tmp_path, count=2)
    wait_for_step(driver, tmp_path, STEPS[0] // 2)
    end_all(driver)
    driver = start(tmp_path)
    wait_for_step(driver, tmp_path, STEPS[0] + 4)
    end_all(driver)
    losses = finish(start(tmp_path, count=2), tmp_path)
    assert losses == pytest.approx(undisturbed, rel=1e-5)
