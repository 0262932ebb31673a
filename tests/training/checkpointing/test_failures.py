"""What cannot be saved or loaded is said in one line, and the checkpoint before it stays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR

from opabinia.training.checkpointing.layout import list_checkpoints
from opabinia.training.checkpointing.state import TrainingState
from opabinia.training.checkpointing.writer import ShardWriter
from tests.storage.limits import as_nobody, files_of_at_most
from tests.training.checkpointing.saving import checkpoints, load_latest, save_one
from tests.training.checkpointing.small import (
    WIDTH,
    Model,
    contents,
    new_state,
    same,
    train,
    with_optimiser,
)

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


def test_what_the_optimiser_trains_is_not_frozen(tmp_path: Path) -> None:
    state = new_state()
    wrong = TrainingState(state.model, state.optimiser, state.schedule, {"body": "ab"})
    with pytest.raises(ValueError, match=r"frozen: body.0.weight is trained by the optimiser; take its module out"):
        checkpoints(tmp_path).save(wrong, 1, {})
    wrong = TrainingState(state.model, state.optimiser, state.schedule, {"bodies": "ab"})
    with pytest.raises(ValueError, match=r"frozen: bodies is no module of the model with weights"):
        checkpoints(tmp_path).save(wrong, 1, {})
    assert list(tmp_path.iterdir()) == []


def changed(how: str) -> TrainingState:
    model = Model()
    if how == "more":
        model.extra = torch.nn.Linear(1, 1)
    elif how == "fewer":
        del model.passes
    elif how == "wider":
        model.encoder = torch.nn.Linear(6, WIDTH)
    elif how == "coarser":
        model.bfloat16()
    elif how == "other groups":
        optimiser = AdamW(model.parameters())
        return TrainingState(model, optimiser, LambdaLR(optimiser, lambda step: 1.0))
    return with_optimiser(model)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("more", r"does not hold extra.bias; open the model that was saved"),
        ("fewer", r"holds passes, which this model does not have"),
        ("wider", r"encoder.weight is \[7, 5\] torch.float32, this model's \[7, 6\] torch.float32"),
        ("coarser", r"body.0.bias is \[7\] torch.float32, this model's \[7\] torch.bfloat16"),
        ("other groups", r"its optimiser trained other parameters or in other groups; open the same stage"),
    ],
)
def test_a_run_that_does_not_fit_is_refused_and_left_alone(tmp_path: Path, how: str, reason: str) -> None:
    state = new_state()
    train(state, 1)
    folder = save_one(tmp_path, state)
    other = changed(how)
    before = contents(other)
    with pytest.raises(ValueError, match=f"^{folder}: {reason}"):
        load_latest(tmp_path, other)
    assert same(contents(other), before)


@pytest.mark.parametrize("name", ["worker-00000-0000.safetensors", "tensors.json", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["bit", "cut", "gone"])
def test_damage_is_found_wherever_it_is(tmp_path: Path, name: str, damage: str) -> None:
    folder = save_one(tmp_path, new_state())
    file = folder / name
    content = bytearray(file.read_bytes())
    latest = checkpoints(tmp_path).latest()
    assert latest is not None
    if damage == "bit":
        content[len(content) // 2] ^= 1
    file.write_bytes(content[:-2] if damage == "cut" else content)
    if damage == "gone":
        file.unlink()
    with pytest.raises(ValueError, match=rf"^{file}: "):
        checkpoints(tmp_path).load(latest, new_state())


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that nobody can reach too, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_a_full_disk_is_told_at_the_next_save_and_the_one_before_is_kept(tmp_path: Path) -> None:
    state = new_state()
    saver = checkpoints(tmp_path)
    saver.save(state, 1, {})
    saver.wait()
    train(state, 1)
    with files_of_at_most(2000):
        saver.save(state, 2, {})
        reason = r"^the checkpoint of step 2 was not written: \S+-0000.safetensors: the disk is full .* \(worker 0\)$"
        with pytest.raises(ValueError, match=reason):
            saver.save(state, 3, {})
    assert [path.name.split("-")[1] for path in tmp_path.iterdir()] == ["00000001"]
    saver.save(state, 4, {})
    saver.wait()
    assert [found.step for found in list_checkpoints(tmp_path)] == [4]


def test_a_right_that_was_taken_away_is_told_when_the_block_ends(public: Path) -> None:
    save_one(public, new_state(), step=1)
    os.chmod(public, 0o555)
    reason = (
        r"^the checkpoint of step 2 was not written: .*access is denied \(Permission denied: .*give this user the right"
    )
    with as_nobody(), pytest.raises(ValueError, match=reason), checkpoints(public) as saver:
        saver.save(new_state(), 2, {})
    os.chmod(public, 0o777)
    assert [found.step for found in list_checkpoints(public)] == [1]


def test_an_older_one_that_cannot_be_removed_costs_no_new_one(public: Path, caplog: pytest.LogCaptureFixture) -> None:
    older = save_one(public, new_state(), step=1)
    os.chmod(older, 0o555)
    with as_nobody():
        save_one(public, new_state(), step=2)
    os.chmod(older, 0o777)
    assert [found.step for found in list_checkpoints(public)] == [1, 2]
    assert f"{older}: cannot be removed" in caplog.text


def test_an_error_of_the_run_is_not_hidden_by_one_of_its_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError, match="loss is NaN"), files_of_at_most(100), checkpoints(tmp_path) as saver:
        saver.save(new_state(), 1, {})
        raise RuntimeError("loss is NaN")
    assert "the checkpoint of step 1 was not written" in caplog.text


def test_what_became_complete_stays_when_the_other_workers_are_gone_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = ShardWriter.finish

    def finish_alone(writer: ShardWriter, **results: Any) -> None:
        finish(writer, **results)
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr(ShardWriter, "finish", finish_alone)
    saver = checkpoints(tmp_path)
    saver.save(new_state(), 1, {})
    with pytest.raises(ValueError, match=r"step 1 was not written: .*Connection reset by peer"):
        saver.wait()
    assert [found.step for found in list_checkpoints(tmp_path)] == [1]


def test_an_error_is_told_once(tmp_path: Path) -> None:
    with files_of_at_most(100):
        saver = checkpoints(tmp_path)
        saver.save(new_state(), 1, {})
        with pytest.raises(ValueError, match="step 1 was not written"):
            saver.wait()
    assert saver.wait() is None


@pytest.mark.parametrize(
    ("facts", "reason"), [({"loss": float("nan")}, "Out of range"), ({"at": {1}}, "Object of type set")]
)
def test_facts_that_json_cannot_hold_are_refused_at_once(tmp_path: Path, facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=f"^facts: cannot be saved as JSON \\({reason}"):
        checkpoints(tmp_path).save(new_state(), 1, facts)
    assert list(tmp_path.iterdir()) == []


def test_an_optimiser_of_another_model_is_refused(tmp_path: Path) -> None:
    state = new_state()
    optimiser = SGD(Model().parameters(), lr=0.1)
    wrong = TrainingState(state.model, optimiser, LambdaLR(optimiser, lambda step: 1.0))
    with pytest.raises(ValueError, match="optimiser: trains a parameter that the model does not hold"):
        checkpoints(tmp_path).save(wrong, 1, {})


def test_learning_rates_as_tensors_are_refused(tmp_path: Path) -> None:
    model = Model()
    optimiser = AdamW(model.parameters(), lr=torch.tensor(0.3))
    state = TrainingState(model, optimiser, LambdaLR(optimiser, lambda step: 1.0))
    reason = r"settings of optimiser and schedule: cannot be saved as JSON \(Object of type Tensor .*; use numbers"
    with pytest.raises(ValueError, match=reason):
        checkpoints(tmp_path).save(state, 1, {})
