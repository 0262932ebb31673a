"""All random generators go on where they stood."""

from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.training.checkpointing.random_state import get_random_state, set_random_state
from tests.training.checkpointing.small import seed_everything

CPU = torch.device("cpu")


def draw(count: int) -> list[float]:
    return [
        value
        for _ in range(count)
        for value in (torch.rand(()).item(), random.random(), random.gauss(0, 1), float(np.random.normal()))
    ]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), drawn=st.integers(0, 700))
def test_the_same_numbers_follow(seed: int, drawn: int) -> None:
    seed_everything(seed)
    draw(drawn)
    # Normal numbers are made in pairs: after one, another waits.
    saved = get_random_state(CPU)
    expected = draw(5)
    seed_everything(1)
    set_random_state(saved, CPU)
    assert draw(5) == expected


def test_a_generator_that_was_not_saved_stays_where_it_is() -> None:
    seed_everything(0)
    saved = get_random_state(CPU)
    expected = draw(1)
    seed_everything(0)
    np.random.normal()
    expected[3] = float(np.random.normal())
    seed_everything(0)
    np.random.normal()
    set_random_state({name: state for name, state in saved.items() if name != "numpy"}, CPU)
    assert draw(1) == expected
