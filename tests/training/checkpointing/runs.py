"""What the processes of these tests do; each function runs in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from opabinia.training.checkpointing import writer
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.loading import Loaded
from opabinia.training.checkpointing.state import TrainingState
from tests.training.checkpointing.processes import rank, sharded_state, wrap
from tests.training.checkpointing.small import contents, new_state, seed_everything, train, train_on

Prints = dict[str, str]

FILE_EVENTS = frozenset({"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"})


def fingerprints(state: TrainingState) -> Prints:
    """Name -> what identifies its dtype, shape and bits; the whole tensor where it is sharded."""
    return {
        name: sha256(f"{tensor.dtype} {tensor.shape}".encode() + tensor.numpy().tobytes()).hexdigest()
        for name, tensor in contents(state).items()
    }


def begin(address: str, steps: int, sharded: bool) -> tuple[list[float], Prints]:
    """Train from the start, save, and end: the losses, and the state that was saved."""
    state = sharded_state() if sharded else new_state()
    wrapped = wrap(state, sharded)
    seed_everything(10 + rank())
    losses = train(state, steps, wrapped)
    prints = fingerprints(state)
    with Checkpoints(address, CheckpointConfig()) as checkpoints:
        checkpoints.save(state, steps, {"steps": steps})
    return losses, prints


def go_on(address: str, steps: int, sharded: bool) -> tuple[Prints, bool, list[float], Prints]:
    """Load the latest and train on: the state that was loaded, whether with its randomness, the losses, and the last state."""
    state = sharded_state() if sharded else new_state(seed=5)
    wrapped = wrap(state, sharded)
    seed_everything(99)
    train(state, 1, wrapped)
    loaded = load(address, state)
    prints = fingerprints(state)
    return prints, loaded.same_randomness, train(state, steps, wrapped), fingerprints(state)


def uninterrupted(steps: int, sharded: bool) -> tuple[list[float], Prints]:
    state = sharded_state() if sharded else new_state()
    wrapped = wrap(state, sharded)
    seed_everything(10 + rank())
    return train(state, steps, wrapped), fingerprints(state)


def load(address: str, state: TrainingState) -> Loaded:
    checkpoints = Checkpoints(address, CheckpointConfig())
    latest = checkpoints.latest()
    assert latest is not None
    return checkpoints.load(latest, state)


def save_after_looking(address: str) -> Prints:
    """A forward pass without a backward one leaves FSDP's parameters gathered."""
    state = sharded_state(dropout=0.0)
    train_on(state, torch.ones(4, 5))
    state.model.eval()
    with torch.no_grad():
        state.model(torch.ones(4, 5))
    with Checkpoints(address, CheckpointConfig()) as checkpoints:
        checkpoints.save(state, 1, {})
    return fingerprints(state)


def save_twice(address: str, file_bytes: int, told: str, doomed: int = -1, operation: int = 0) -> None:
    """Save after one step and after two; worker `doomed` is killed before a file operation of the second write (from 0 on).

    What a worker that lives on hears of it goes to the file `told`.
    """
    writer.FILE_BYTES = file_bytes
    state = new_state()
    seed_everything(10)
    checkpoints = Checkpoints(address, CheckpointConfig())
    for step in (1, 2):
        train(state, 1)
        if step == 2 and rank() == doomed:
            die_before(operation)
        checkpoints.save(state, step, {})
        try:
            checkpoints.wait()
        except ValueError as error:
            Path(told).write_text(str(error))


def die_before(operation: int) -> None:
    """Python tells of what is done to files, in all threads, before it is done."""
    counted = count()

    def watch(event: str, arguments: object) -> None:
        if (
            event in FILE_EVENTS
            and threading.current_thread() is not threading.main_thread()
            and next(counted) == operation
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def save_for_ever(address: str, told: str) -> None:
    """Save after every step, and note the steps whose checkpoints are known to be complete."""
    writer.FILE_BYTES = 600
    state = new_state()
    seed_everything(10)
    with Checkpoints(address, CheckpointConfig()) as checkpoints, open(told, "a") as notes:
        for step in count(1):
            train(state, 1)
            checkpoints.save(state, step, {})
            if checkpoints.last_written:
                print(checkpoints.last_written.checkpoint.step, file=notes, flush=True)


def save_elsewhere(folder: str) -> str:
    """Every worker has a disk of its own: what the write says."""
    home = Path(folder) / str(rank())
    home.mkdir()
    os.chdir(home)
    checkpoints = Checkpoints("checkpoints", CheckpointConfig())
    checkpoints.save(sharded_state(), 1, {})
    return why(checkpoints.wait)


def save_where_one_is_other(address: str) -> str:
    """What the write says where the second worker's model is another one."""
    state = new_state()
    if rank() == 1:
        state.model.register_buffer("aside", torch.zeros(()))
    checkpoints = Checkpoints(address, CheckpointConfig())
    checkpoints.save(state, 1, {})
    return why(checkpoints.wait)


def load_failing(address: str) -> str:
    """What loading says."""
    return why(lambda: load(address, sharded_state()))


def load_where_one_is_other(address: str) -> str:
    """What loading says where the second worker's model is another one."""
    state = new_state()
    if rank() == 1:
        state.model.register_buffer("passes", None)
    return why(lambda: load(address, state))


def why(act: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as raised:
        act()
    return str(raised.value)


def under(environment: dict[str, str], work: Callable[..., Any], *arguments: object) -> Any:
    """What `work(*arguments)` returns where these variables are set."""
    os.environ.update(environment)
    return work(*arguments)


def decisions(clocks: list[list[float]], asking: list[int | None]) -> list[int]:
    """The steps that this worker finds due, by its own clock (seconds at each step), asking at its own step."""
    mine = iter([0.0, *clocks[rank()]])
    now = [next(mine)]
    config = CheckpointConfig(every_minutes=1)
    checkpoints = Checkpoints("/nowhere", config, clock=lambda: now[0])
    due: list[int] = []
    for step, now[0] in enumerate(mine, start=1):
        if checkpoints.is_due(step, asked=asking[rank()] == step):
            due.append(step)
    return due
