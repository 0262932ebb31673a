"""Small runs that are started, killed and gone on with, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.small_run import STEPS

NAME = "quickstart"
ALL_STEPS = sum(STEPS)
PATIENCE_S = 300

Driver = subprocess.Popen[bytes] | subprocess.Popen[str]


def start(folder: Path, **settings: Any) -> Driver:
    """`settings` of the experiment: workers={"count": 2}."""
    return start_program("small_run", folder, settings)


def start_program(program: str, folder: Path, settings: dict[str, Any], *words: str, **environment: str) -> Driver:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", f"tests.e2e.{program}", str(folder), json.dumps(settings), *words]
    # Nobody's: Ray Train would ask any Ray on this machine whether a run still lives, and end it when that one knows nothing of it.
    nowhere = {"RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}
    variables = {**os.environ, **nowhere, "OMP_NUM_THREADS": "1", **environment}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=variables)


def log_of(folder: Path) -> str:
    return (folder / "log.txt").read_text()[-3000:]


def points(folder: Path) -> list[dict[str, Any]]:
    """What was reported of each step; of a step that was made twice, twice."""
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def finish(driver: Driver, folder: Path, steps: int = ALL_STEPS) -> dict[int, float]:
    """Losses of all `steps` by step. The same step may have been reported twice, but never with two losses."""
    assert driver.wait(PATIENCE_S) == 0, log_of(folder)
    losses = dict[int, float]()
    for point in points(folder):
        assert losses.setdefault(point["step"], point["loss"]) == point["loss"]
    assert sorted(losses) == list(range(1, steps + 1))
    return losses


def state_of(folder: Path) -> Path:
    return folder / "runs" / NAME / "state"


def newest_manifest(state: Path) -> Path | None:
    """Of the complete checkpoints below `state`."""
    return max(state.glob("*/manifest.json"), key=_step_of, default=None)


def saved_step(folder: Path) -> int:
    """The step of the newest complete checkpoint; 0 while there is none."""
    manifest = newest_manifest(state_of(folder))
    return _step_of(manifest) if manifest else 0


def _step_of(manifest: Path) -> int:
    return int(manifest.parent.name.split("-")[1])


def wait_until(holds: Callable[[], bool], driver: Driver, folder: Path, pause: float = 0.02) -> None:
    """While the driver lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert driver.poll() is None, log_of(folder)
        assert time.monotonic() < deadline, log_of(folder)
        time.sleep(pause)


def wait_for_step(driver: Driver, folder: Path, step: int) -> None:
    wait_until(lambda: saved_step(folder) >= step, driver, folder)


def below(driver: Driver, name: str) -> list[psutil.Process]:
    """Processes that the driver's Ray started and whose command line holds `name`."""
    found = list[psutil.Process]()
    for process in psutil.Process(driver.pid).children(recursive=True):
        try:
            if name in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(processes)


def wait_for_end(processes: list[psutil.Process]) -> None:
    """Of all of them; what has ended stays in the system's table until its parent, which may be busy, has asked for it."""
    deadline = time.monotonic() + 60
    while alive := [process for process in processes if _is_alive(process)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_all(driver: Driver) -> None:
    """Nothing of a killed driver's Ray may live on and write."""
    processes = psutil.Process(driver.pid).children(recursive=True) if driver.poll() is None else []
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    kill_all(processes)
