"""Checkpoints are due by the first worker's clock, by the step, at the end, and when a machine is about to go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.group import Workers
from opabinia.training.checkpointing.policy import Policy


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def steps_saved(config: CheckpointConfig, steps: int, seconds_per_step: float) -> list[int]:
    """The steps of a run after which it saves."""
    clock = Clock()
    policy = Policy(config, Workers(), clock)
    saved: list[int] = []
    for step in range(1, steps + 1):
        clock.seconds += seconds_per_step
        if policy.is_due(step, last=step == steps):
            saved.append(step)
            policy.note_saved(step)
    return saved


def test_a_temporary_one_every_so_many_minutes_and_one_at_the_end() -> None:
    assert steps_saved(CheckpointConfig(every_minutes=1), steps=10, seconds_per_step=25) == [3, 6, 9, 10]


def test_permanent_ones_by_step_start_the_minutes_again() -> None:
    config = CheckpointConfig(every_minutes=1, keep_every_steps=4)
    assert steps_saved(config, steps=10, seconds_per_step=25) == [3, 4, 7, 8, 10]
    assert [step for step in range(1, 11) if config.keeps(step)] == [4, 8]


def test_without_minutes_and_steps_only_the_end_is_saved() -> None:
    assert steps_saved(CheckpointConfig(every_minutes=None), steps=10, seconds_per_step=1e6) == [10]


@given(
    minutes=st.floats(0.01, 100),
    keep=st.none() | st.integers(1, 20),
    steps=st.integers(1, 60),
    seconds=st.floats(0.1, 1000),
)
def test_never_is_more_lost_than_the_minutes_and_one_step(
    minutes: float, keep: int | None, steps: int, seconds: float
) -> None:
    saved = steps_saved(CheckpointConfig(every_minutes=minutes, keep_every_steps=keep), steps, seconds)
    assert saved[-1] == steps
    gaps = [later - earlier for earlier, later in zip([0, *saved], saved, strict=False)]
    assert all((gap - 1) * seconds <= 60 * minutes * (1 + 1e-9) for gap in gaps)
    assert {step for step in range(1, steps + 1) if keep and step % keep == 0} <= set(saved)


def test_what_was_saved_is_not_due_again_at_the_end() -> None:
    policy = Policy(CheckpointConfig(keep_every_steps=5), Workers(), Clock())
    assert policy.is_due(5)
    policy.note_saved(5)
    assert not policy.is_due(5, last=True)
    assert not policy.is_due(5, asked=True)


def test_whoever_is_about_to_lose_its_machine_may_ask() -> None:
    policy = Policy(CheckpointConfig(), Workers(), Clock())
    assert not policy.is_due(1)
    assert policy.is_due(1, asked=True)


@pytest.mark.parametrize("wrong", [{"every_minutes": 0}, {"keep_every_steps": 0}, {"every_minutes": -1.0}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CheckpointConfig.model_validate(wrong)
