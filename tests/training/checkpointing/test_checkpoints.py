"""One process saves and loads; what it saved is what it was."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.frozen import module_digest
from opabinia.training.checkpointing.layout import list_checkpoints
from opabinia.training.checkpointing.manifest import read_manifest
from tests.training.checkpointing.saving import FACTS, checkpoints, held_back, load_latest, save_one
from tests.training.checkpointing.small import (
    Model,
    contents,
    new_state,
    same,
    seed_everything,
    train,
    with_optimiser,
)

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def test_a_run_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    state = new_state()
    seed_everything(3)
    train(state, 3)
    save_one(tmp_path, state, step=3)
    saved, expected = contents(state), train(state, 4)

    other = new_state(seed=1)
    seed_everything(4)
    train(other, 1)
    loaded = load_latest(tmp_path, other)
    assert (loaded.step, loaded.facts, loaded.same_randomness) == (3, FACTS, True)
    assert same(contents(other), saved)
    assert train(other, 4) == expected
    assert same(contents(other), contents(state))


def test_before_the_first_step_there_is_a_checkpoint_too(tmp_path: Path) -> None:
    save_one(tmp_path, new_state(), step=0)
    other = new_state(seed=1)
    train(other, 2)
    load_latest(tmp_path, other)
    assert same(contents(other), contents(new_state()))


def test_training_on_does_not_change_what_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, facts = new_state(), {"samples": [1]}
    train(state, 1)
    expected = contents(state)
    with held_back(monkeypatch) as gate:
        saved = checkpoints(tmp_path)
        saved.save(state, 1, facts)
        train(state, 2)
        facts["samples"].append(2)
        assert list_checkpoints(tmp_path) == []
        gate.set()
        saved.wait()
    other = new_state(seed=1)
    assert load_latest(tmp_path, other).facts == {"samples": [1]}
    assert same(contents(other), expected)


def test_a_second_write_waits_for_the_first_and_tells_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = new_state()
    with held_back(monkeypatch) as gate, checkpoints(tmp_path) as saved:
        first = saved.save(state, 1, {})
        threading.Timer(0.2, gate.set).start()
        second = saved.save(state, 2, {})
    assert first.waited_seconds < 0.1 < 0.15 < second.waited_seconds
    assert first.bytes == second.bytes > 1000
    assert [found.step for found in list_checkpoints(tmp_path)] == [2]


def test_the_minutes_count_from_the_last_save(tmp_path: Path) -> None:
    now = [0.0]
    with Checkpoints(tmp_path, CheckpointConfig(every_minutes=1), clock=lambda: now[0]) as saved:
        due: list[int] = []
        for step in range(1, 7):
            now[0] += 25
            if saved.is_due(step, last=step == 6):
                saved.save(new_state(), step, {})
                due.append(step)
        assert not saved.is_due(6, last=True)
    assert due == [3, 6]
    assert [found.step for found in list_checkpoints(tmp_path)] == [6]


def test_nothing_goes_on_in_the_background_after_waiting(tmp_path: Path) -> None:
    saver = checkpoints(tmp_path)
    for step in range(20):
        saver.save(new_state(), step, {})
        saver.wait()
        assert "checkpoint" not in {thread.name for thread in threading.enumerate()}


def test_temporary_ones_are_replaced_and_permanent_ones_stay(tmp_path: Path) -> None:
    state = new_state()
    with checkpoints(tmp_path, keep_every_steps=3) as saved:
        for step in range(1, 8):
            saved.save(state, step, {})
    assert [(found.step, found.permanent) for found in list_checkpoints(tmp_path)] == [(3, True), (6, True), (7, False)]


def test_the_one_before_stays_until_the_next_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_one(tmp_path, new_state(), step=1)
    with held_back(monkeypatch) as gate, checkpoints(tmp_path) as saved:
        saved.save(new_state(), 2, {})
        assert [found.step for found in list_checkpoints(tmp_path)] == [1]
        gate.set()
    assert [found.step for found in list_checkpoints(tmp_path)] == [2]


def test_what_was_left_half_written_is_removed_at_the_next_save(tmp_path: Path) -> None:
    left = tmp_path / "step-00000009-permanent-01234567"
    left.mkdir()
    (left / "worker-00000-0000.safetensors").write_bytes(b"half")
    saver = checkpoints(tmp_path)
    assert saver.latest() is None
    assert left.exists()
    saver.save(new_state(), 10, {})
    saver.wait()
    assert [path.name.split("-")[1] for path in tmp_path.iterdir()] == ["00000010"]


def test_large_states_go_into_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opabinia.training.checkpointing.writer.FILE_BYTES", 300)
    state = new_state()
    train(state, 1)
    folder = save_one(tmp_path, state)
    assert len(list(folder.glob("*.safetensors"))) > 5
    other = new_state(seed=1)
    load_latest(tmp_path, other)
    assert same(contents(other), contents(state))


def test_frozen_modules_are_told_apart_by_digest_and_not_saved(tmp_path: Path) -> None:
    model = Model()
    state = with_optimiser(model, {"encoder": module_digest(model.encoder)})
    train(state, 2)
    folder = save_one(tmp_path, state)
    assert "encoder" not in (folder / "tensors.json").read_text()
    assert read_manifest(str(folder)).frozen == {"encoder": module_digest(model.encoder)}

    fresh = Model()
    fresh.encoder.load_state_dict(model.encoder.state_dict())
    other = with_optimiser(fresh, {"encoder": module_digest(fresh.encoder)})
    load_latest(tmp_path, other)
    assert same(contents(other), contents(state))

    with pytest.raises(ValueError, match="encoder has other weights than when it was saved; open the same ones"):
        load_latest(tmp_path, with_optimiser(Model(), {"encoder": module_digest(Model().encoder)}))
    with pytest.raises(ValueError, match=r"does not hold encoder, which was frozen; name it in frozen"):
        load_latest(tmp_path, with_optimiser(fresh))
