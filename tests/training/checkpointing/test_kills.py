"""Whenever a process is killed, the last checkpoint that was complete is there, whole, and the next run tidies up."""

from __future__ import annotations

import random
import signal
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.layout import list_checkpoints
from tests.training.checkpointing import runs
from tests.training.checkpointing.processes import LONGEST_TEST, NEW_PROCESSES, as_worker
from tests.training.checkpointing.small import new_state, seed_everything, train

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:torch.distributed is disabled")]


def start(rank: int, workers: int, work: object, *arguments: object) -> BaseProcess:
    meeting = Path(str(arguments[0])) / "meeting"
    process = NEW_PROCESSES.Process(target=as_worker, args=(rank, workers, meeting, work, arguments))
    process.start()
    return process


def end(process: BaseProcess) -> int | None:
    process.join(LONGEST_TEST)
    return process.exitcode


def states(steps: int) -> list[runs.Prints]:
    """What the state is after 0, 1, … steps of the runs in `runs`."""
    state = new_state()
    seed_everything(10)
    prints = [runs.fingerprints(state)]
    for _ in range(steps):
        train(state, 1)
        prints.append(runs.fingerprints(state))
    return prints


def latest_step(address: Path | str, expected: list[runs.Prints]) -> int:
    """The step of the latest checkpoint; it and all others that count as complete must hold what the run held then."""
    checkpoints = Checkpoints(address, CheckpointConfig())
    latest = checkpoints.latest()
    assert latest is not None
    for checkpoint in list_checkpoints(address):
        state = new_state(seed=3)
        assert checkpoints.load(checkpoint, state).step == checkpoint.step <= latest.step
        assert runs.fingerprints(state) == expected[checkpoint.step]
    return latest.step


def folders(address: Path) -> list[str]:
    return [path.name for path in address.iterdir() if path.is_dir()]


def save_anew(address: Path) -> None:
    with Checkpoints(address, CheckpointConfig()) as checkpoints:
        checkpoints.save(new_state(), 1_000_000, {})


def test_before_every_operation_on_files(tmp_path: Path) -> None:
    expected = states(2)
    found: list[int] = []
    codes: list[int | None] = []
    while not codes or codes[-1] == -signal.SIGKILL:
        address = Path(tempfile.mkdtemp(dir=tmp_path))
        codes.append(end(start(0, 1, runs.save_twice, str(address), 3000, str(tmp_path / "told"), 0, len(codes))))
        found.append(latest_step(address, expected))
        save_anew(address)
        assert len(folders(address)) == 1
    assert codes[-1] == 0
    # The manifest's rename is the moment from which the second one counts; after it the first one is taken away.
    assert found == sorted(found)
    assert found.count(1) > 20
    assert found.count(2) > 10


def test_at_any_moment(tmp_path: Path) -> None:
    expected = states(400)
    dice = random.Random(0)
    for round in range(8):
        address, told = tmp_path / str(round), tmp_path / f"told-{round}"
        address.mkdir()
        process = start(0, 1, runs.save_for_ever, str(address), str(told))
        while not told.exists() or not told.read_text():
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.2))
        process.kill()
        assert end(process) == -signal.SIGKILL
        known = int(told.read_text().split()[-1])
        assert latest_step(address, expected) >= known
        save_anew(address)
        assert len(folders(address)) == 1


@pytest.mark.parametrize("operation", [0, 5, 9])
def test_of_two_workers_one(tmp_path: Path, operation: int) -> None:
    told = tmp_path / "told"
    address = tmp_path / "checkpoints"
    address.mkdir()
    both = [start(rank, 2, runs.save_twice, str(address), 3000, str(told), 1, operation) for rank in range(2)]
    assert [end(process) for process in both] == [0, -signal.SIGKILL]
    assert told.read_text().startswith(
        "the checkpoint of step 2 was not written: another worker is gone or does not answer"
    )
    assert "\n" not in told.read_text()
    assert latest_step(address, states(1)) == 1
    save_anew(address)
    assert [found.step for found in list_checkpoints(address)] == [1_000_000]
    assert len(folders(address)) == 1
