"""Saving and loading in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opabinia.training.checkpointing import tensor_file
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState

FACTS: dict[str, Any] = {"data": {"epoch": 2, "sample": 17}, "stage": "connector"}


def checkpoints(address: Path, **settings: Any) -> Checkpoints:
    return Checkpoints(address, CheckpointConfig(**settings))


@contextmanager
def held_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Files are written only once the event is set."""
    gate, real = threading.Event(), tensor_file.whole_object

    def late(address: str) -> Any:
        assert gate.wait(20)
        return real(address)

    monkeypatch.setattr(tensor_file, "whole_object", late)
    yield gate
    gate.set()


def save_one(address: Path, state: TrainingState, step: int = 1) -> Path:
    with checkpoints(address) as saved:
        saved.save(state, step, FACTS)
    assert saved.last_written is not None
    return Path(saved.last_written.checkpoint.address)


def load_latest(address: Path, state: TrainingState) -> Any:
    loader = checkpoints(address)
    latest = loader.latest()
    assert latest is not None
    return loader.load(latest, state)
