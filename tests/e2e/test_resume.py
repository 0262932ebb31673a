"""Runs that are killed go on where they were: the same losses, whoever died and however many workers come back."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.disturbed import (
    ALL_STEPS,
    NAME,
    Driver,
    below,
    end_all,
    finish,
    kill_all,
    saved_step,
    start,
    state_of,
    wait_for_end,
    wait_for_step,
    wait_until,
)
from tests.e2e.small_run import STEPS
from tests.storage.conftest import Bucket

pytestmark = pytest.mark.e2e


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
    driver = start(alone_and_killed, workers={"max_failures": 3})
    for step in (random.randint(1, STEPS[0] - 1), STEPS[0] + random.randint(1, STEPS[1] - 4)):
        wait_for_step(driver, alone_and_killed, step)
        kill_all(below(driver, "RayTrainWorker"))
    assert finish(driver, alone_and_killed) == undisturbed


def test_after_the_driver_and_its_ray_were_killed_the_same_command_goes_on(
    undisturbed: dict[int, float], tmp_path: Path
) -> None:
    step = random.randint(2, ALL_STEPS - 4)
    driver = start(tmp_path)
    wait_for_step(driver, tmp_path, step)
    end_all(driver)
    # What was cut off in the middle of a write is there now, and must not be taken for a checkpoint.
    assert saved_step(tmp_path) >= step
    assert finish(start(tmp_path), tmp_path) == undisturbed


def test_after_rays_head_was_killed_nothing_lives_on_and_the_same_command_goes_on(
    undisturbed: dict[int, float], tmp_path: Path
) -> None:
    driver = start(tmp_path)
    wait_for_step(driver, tmp_path, random.randint(2, ALL_STEPS - 6))
    rest = psutil.Process(driver.pid).children(recursive=True)
    kill_all([process for process in rest if process.name() in ("gcs_server", "raylet")])
    try:
        assert driver.wait(120) != 0
        wait_for_end(rest)
    finally:
        kill_all(rest)
    assert 2 <= saved_step(tmp_path) < ALL_STEPS
    assert finish(start(tmp_path), tmp_path) == undisturbed


def stop_in_a_write(driver: Driver, folder: Path) -> tuple[psutil.Process, Path]:
    """Stop the worker when a part of a checkpoint is on disk, and the manifest that completes it is not."""
    (worker,) = below(driver, "RayTrainWorker")
    found = list[Path]()

    def is_in_a_write() -> bool:
        for written in state_of(folder).glob("step-*"):
            # One that a later checkpoint has replaced loses its manifest first, too.
            if int(written.name.split("-")[1]) <= saved_step(folder):
                continue
            if any(written.glob("*.safetensors*")) and not (written / "manifest.json").exists():
                worker.send_signal(signal.SIGSTOP)
                if (written / "manifest.json").exists() or not written.exists():
                    worker.send_signal(signal.SIGCONT)
                else:
                    found.append(written)
        return bool(found)

    wait_until(is_in_a_write, driver, folder, pause=0)
    return worker, found[0]


def test_a_worker_that_is_killed_in_a_write_goes_on_from_the_checkpoint_before(
    undisturbed: dict[int, float], tmp_path: Path
) -> None:
    driver = start(tmp_path, workers={"max_failures": 1})
    wait_for_step(driver, tmp_path, random.randint(1, STEPS[0]))
    worker, unfinished = stop_in_a_write(driver, tmp_path)
    before = saved_step(tmp_path)
    assert before < int(unfinished.name.split("-")[1])
    kill_all([worker])
    assert not (unfinished / "manifest.json").exists()
    assert finish(driver, tmp_path) == undisturbed
    assert not unfinished.exists()


def test_another_number_of_workers_goes_on_with_the_same_losses(undisturbed: dict[int, float], tmp_path: Path) -> None:
    driver = start(tmp_path, workers={"count": 2})
    wait_for_step(driver, tmp_path, STEPS[0] // 2)
    end_all(driver)
    driver = start(tmp_path)
    wait_for_step(driver, tmp_path, STEPS[0] + 4)
    end_all(driver)
    losses = finish(start(tmp_path, workers={"count": 2}), tmp_path)
    assert losses == pytest.approx(undisturbed, rel=1e-5)


def steps_in(bucket: Bucket) -> list[int]:
    """The steps of the complete checkpoints in it."""
    return [int(key.split("step-")[1][:8]) for key in bucket.list_keys() if key.endswith("/manifest.json")]


def test_a_run_whose_state_is_in_a_bucket_survives_the_loss_of_the_machine(
    undisturbed: dict[int, float], tmp_path: Path, bucket: Bucket
) -> None:
    checkpoints = {"address": bucket.address("runs")}
    driver = start(tmp_path / "lost", checkpoints=checkpoints)
    wait_until(lambda: max(steps_in(bucket), default=0) >= 3, driver, tmp_path / "lost")
    end_all(driver)
    step = max(steps_in(bucket))
    assert step < STEPS[0]
    assert all(key.startswith(f"runs/{NAME}/state/") for key in bucket.list_keys())
    assert not state_of(tmp_path / "lost").exists()
    shutil.rmtree(tmp_path / "lost")
    other = tmp_path / "other"
    assert finish(start(other, checkpoints=checkpoints), other) == undisturbed
