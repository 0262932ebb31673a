"""Checkpoints in a bucket: as on a disk, with everything that goes wrong on the way there and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.layout import latest_checkpoint, list_checkpoints, list_incomplete
from opabinia.training.checkpointing.state import TrainingState
from tests.storage.conftest import Bucket
from tests.storage.faulty_s3 import (
    Condition,
    Exchange,
    Fault,
    breaks_off,
    cuts,
    is_get,
    loses_answer,
    refuses,
    resets,
    shortens,
)
from tests.training.checkpointing import runs
from tests.training.checkpointing.processes import NEW_PROCESSES, as_worker, together
from tests.training.checkpointing.small import contents, new_state, same, seed_everything, train
from tests.training.checkpointing.test_kills import end, latest_step, states

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore:torch.distributed is disabled")]

CREDENTIALS = ("AWS_", "OPABINIA_", "NO_PROXY")


def trained(steps: int = 1) -> TrainingState:
    state = new_state()
    seed_everything(10)
    train(state, steps)
    return state


def save(address: str, state: TrainingState, *steps: int) -> None:
    with Checkpoints(address, CheckpointConfig(keep_every_steps=100)) as checkpoints:
        for step in steps:
            checkpoints.save(state, step, {})


def loaded(address: str) -> TrainingState:
    state = new_state(seed=3)
    runs.load(address, state)
    return state


def writes(name: str) -> Condition:
    return lambda exchange: exchange.method == "PUT" and exchange.path.endswith(name)


def reads(name: str) -> Condition:
    return lambda exchange: is_get(exchange) and exchange.path.endswith(name)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_what_was_saved_is_loaded_and_what_was_replaced_is_gone(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("OPABINIA_GS_ENDPOINT_URL", bucket.proxy.url)
    address, state = f"{scheme}://{bucket.name}/runs/a", trained(2)
    assert latest_checkpoint(address) is None
    save(address, state, 99, 100, 101, 102)
    assert [(found.step, found.permanent) for found in list_checkpoints(address)] == [(100, True), (102, False)]
    assert len(bucket.list_keys()) == 2 * len(["worker-00000-0000.safetensors", "tensors", "state", "manifest"])
    assert same(contents(loaded(address)), contents(state))


@pytest.mark.parametrize("fault", [refuses(500, "InternalError"), refuses(503, "SlowDown"), cuts, loses_answer])
@pytest.mark.parametrize("name", [".safetensors", "manifest.json"])
def test_a_passing_failure_of_a_write_is_overcome(bucket: Bucket, fault: Fault, name: str) -> None:
    state = trained()
    bucket.proxy.inject(fault, writes(name), times=2)
    save(bucket.address("a"), state, 1)
    assert same(contents(loaded(bucket.address("a"))), contents(state))


@pytest.mark.parametrize("fault", [refuses(500, "InternalError"), breaks_off(700), resets(700), breaks_off(0)])
def test_a_passing_failure_of_a_read_is_overcome(bucket: Bucket, fault: Fault) -> None:
    state = trained()
    save(bucket.address("a"), state, 1)
    bucket.proxy.inject(fault, reads(".safetensors"), times=2)
    assert same(contents(loaded(bucket.address("a"))), contents(state))


@pytest.mark.parametrize("name", ["worker-00000-0000.safetensors", "tensors.json", "state.json", "manifest.json"])
def test_a_file_that_comes_back_shorter_is_named(bucket: Bucket, name: str) -> None:
    save(bucket.address("a"), trained(), 1)
    bucket.proxy.inject(shortens(20), reads(name), times=9)
    with pytest.raises(ValueError, match=rf"^{bucket.address('a')}/step-\S+/{name}: "):
        loaded(bucket.address("a"))


@pytest.mark.parametrize("name", [".safetensors", "tensors.json", "state.json", "manifest.json"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuses(403, "AccessDenied"), "access is denied; give these credentials the right to write there"),
        (refuses(500, "InternalError"), "the server kept failing"),
    ],
    ids=["revoked", "failing"],
)
def test_a_lasting_failure_is_told_and_the_one_before_stays(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault, reason: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    address, state = bucket.address("a"), trained()
    save(address, state, 1)
    bucket.proxy.inject(fault, writes(name), times=9)
    with pytest.raises(ValueError, match=rf"^the checkpoint of step 2 was not written: \S+{name}: {reason}"):
        save(address, new_state(seed=2), 2)
    assert list_incomplete(address) == []
    assert same(contents(loaded(address)), contents(state))


def test_without_the_right_to_remove_the_new_one_counts_all_the_same(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    save(bucket.address("a"), new_state(seed=2), 1)
    state = trained()
    bucket.proxy.inject(refuses(403, "AccessDenied"), lambda exchange: exchange.method == "DELETE", times=99)
    save(bucket.address("a"), state, 2)
    assert [found.step for found in list_checkpoints(bucket.address("a"))] == [1, 2]
    assert "access is denied" in caplog.text
    assert same(contents(loaded(bucket.address("a"))), contents(state))


def test_a_kill_before_every_request(bucket: Bucket, tmp_path: Path) -> None:
    expected = states(2)
    found: list[int] = []
    codes: list[int | None] = []
    while not codes or codes[-1] == -signal.SIGKILL:
        address = bucket.address(f"run-{len(codes)}")
        bucket.proxy.clear()
        process = start_saving(address, tmp_path)
        bucket.proxy.inject(skipping(len(codes), process.kill), changes_something, times=99)
        codes.append(end(process))
        bucket.proxy.clear()
        if latest_checkpoint(address) is not None:
            found.append(latest_step(address, expected))
        save(address, new_state(), 1_000_001)
        assert list_incomplete(address) == []
        assert [checkpoint.step for checkpoint in list_checkpoints(address)] == [1_000_001]
    assert codes[-1] == 0
    # Of the first save no request is spared either; the second one's manifest is followed by the first one's removal.
    assert len(codes) > 10
    assert found == sorted(found)
    assert {1, 2} == set(found)


def start_saving(address: str, folder: Path) -> BaseProcess:
    environment = {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}
    arguments = (environment, runs.save_twice, address, 8000, str(folder / "told"))
    process = NEW_PROCESSES.Process(target=as_worker, args=(0, 1, folder / "meeting", runs.under, arguments))
    process.start()
    return process


def changes_something(exchange: Exchange) -> bool:
    return exchange.method != "GET"


def skipping(count: int, kill: Callable[[], None]) -> Fault:
    """Requests are answered, but before the one after `count` of them the client is killed, and it takes no effect."""
    left = [count]

    def fault(exchange: Exchange) -> None:
        if left[0] == 0:
            kill()
            exchange.hang_up()
            return
        left[0] -= 1
        exchange.answer(*exchange.forward())

    return fault


def test_two_workers_share_a_bucket(bucket: Bucket) -> None:
    environment = {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}
    address = bucket.address("a")
    saved = together(2, runs.under, environment, runs.begin, address, 2, True)
    assert len([key for key in bucket.list_keys() if key.endswith(".safetensors")]) == 2
    assert runs.fingerprints(loaded(address)) == saved[0][1]
