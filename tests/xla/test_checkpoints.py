"""A run that was saved on one kind of hardware goes on, on another, as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.xla import count_compilations
from opabinia.training.backends.xla_shards import gathered, is_split
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState, shared_tensors
from tests.xla import toy
from tests.xla.test_backend import sharding

CPU = HardwareConfig(hardware="cpu")
XLA = HardwareConfig(hardware="xla")
SHARDED = HardwareConfig(hardware="xla", sharding="sharded")


def begin(config: HardwareConfig) -> toy.Run:
    assert config.hardware != "auto"
    backend = open_backend(config.hardware, config)
    backend.seed(0)
    model = toy.Toy()
    backend.place(model)
    return toy.start(backend, model, "")


def state(run: toy.Run) -> TrainingState:
    return TrainingState(run.model, run.optimiser, run.schedule)


@pytest.mark.parametrize(
    ("before", "after"),
    [(XLA, CPU), (CPU, XLA), (SHARDED, CPU), (CPU, SHARDED)],
    ids=["xla to cpu", "cpu to xla", "sharded to cpu", "cpu to sharded"],
)
def test_the_losses_go_on_where_they_were(tmp_path: Path, before: HardwareConfig, after: HardwareConfig) -> None:
    uninterrupted = begin(CPU)
    expected = [uninterrupted.step(number) for number in range(toy.STEPS)]
    half = toy.STEPS // 2
    first = begin(before)
    losses = [first.step(number) for number in range(half)]
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        checkpoints.save(state(first), half, {})
    second = begin(after)
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        latest = checkpoints.latest()
        assert latest is not None
        assert checkpoints.load(latest, state(second)).step == half
    losses += [second.step(number) for number in range(half, toy.STEPS)]
    assert losses == pytest.approx(expected, rel=1e-4)


def splits(run: toy.Run) -> dict[str, str]:
    """How the chips share each tensor on the device."""
    tensors = shared_tensors(state(run))
    return {name: sharding(tensor) for name, tensor in tensors.items() if tensor.device.type == "xla"}


def test_what_the_chips_share_is_shared_again_after_loading(tmp_path: Path) -> None:
    first, second = begin(SHARDED), begin(SHARDED)
    first.step(0)
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        checkpoints.save(state(first), 1, {})
        checkpoints.wait()
        latest = checkpoints.latest()
        assert latest is not None
        checkpoints.load(latest, state(second))
    split = {name: how for name, how in splits(second).items() if "devices" in how}
    assert split == {name: how for name, how in splits(first).items() if "devices" in how}
    assert len(split) == 3 * len([parameter for parameter in second.model.parameters() if parameter.dim() > 1])


def test_saving_again_what_the_chips_share_compiles_nothing(tmp_path: Path) -> None:
    run, compiled = begin(SHARDED), list[int]()
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        for number in range(5):
            run.step(number)
            checkpoints.save(state(run), number + 1, {})
            compiled.append(count_compilations())
    assert compiled[2:] == compiled[2:3] * 3


def test_the_whole_of_what_the_chips_share_has_every_bit() -> None:
    values = torch.tensor([[0.0, -0.0, 1e-45, float("nan")], [float("inf"), 1.0, -2.0, 3.4e38]])
    backend = open_backend("xla", SHARDED)
    held = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        held.weight.copy_(values)
    backend.wrap(backend.place(held), [])
    assert is_split(held.weight)
    assert gathered(held.weight).view(torch.int32).equal(values.view(torch.int32))
