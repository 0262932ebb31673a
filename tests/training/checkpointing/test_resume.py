"""A run in two processes, one after the other, is the run in one, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.checkpointing import runs
from tests.training.checkpointing.processes import together

pytestmark = pytest.mark.e2e


def test_twenty_steps_are_ten_and_ten_in_a_new_process(tmp_path: Path) -> None:
    ((losses, end),) = together(1, runs.uninterrupted, 20, False)
    ((first, _),) = together(1, runs.begin, str(tmp_path), 10, False)
    ((_, _, then, resumed),) = together(1, runs.go_on, str(tmp_path), 10, False)
    assert first + then == losses
    assert resumed == end
