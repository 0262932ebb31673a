"""What is written down about each running service, so that a later command finds it again."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from opabinia.cluster.processes import Started
from opabinia.config import Config
from opabinia.storage.atomic import whole_text


class Record(Config):
    """A service that was started: its first process, where it answers, and what its clients must set."""

    started: Started
    url: str
    ports: dict[str, int]
    exports: dict[str, str]
    scratch: str | None
    """Folder that belongs to this start of the service and is removed after it."""


def read_record(state_folder: Path, name: str) -> Record | None:
    """Return what is written down about a service, or None if it is not known to run."""
    try:
        return Record.model_validate_json(_path(state_folder, name).read_bytes())
    except FileNotFoundError:
        return None


def write_record(state_folder: Path, name: str, record: Record) -> None:
    """Write a service down."""
    with whole_text(_path(state_folder, name)) as file:
        file.write(record.model_dump_json(indent=2))


def drop_record(state_folder: Path, name: str) -> None:
    """Forget a service."""
    _path(state_folder, name).unlink(missing_ok=True)


@contextmanager
def sole_use(state_folder: Path) -> Generator[None]:
    """Keep other commands from starting or stopping the services of this folder meanwhile; waits for its turn."""
    state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state_folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(state_folder: Path, name: str) -> Path:
    return state_folder / f"{name}.json"
