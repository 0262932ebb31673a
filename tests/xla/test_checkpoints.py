"""A run that was saved on one kind of hardware goes on, on another, as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState
from tests.xla import toy

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
