"""Processes that we started: recognising them again later, and ending them with everything they started."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

MARK_VARIABLE = "OPABINIA_SERVICE"
"""Environment variable that every process of a service inherits; its value is unique to one start of the service."""

_START_TOLERANCE_S = 2.0
"""The start time that the system reports moves with corrections of its clock."""

_GRACE_S = 3.0
"""Workers and MLflow need a second or two; Ray's GCS server would take half a minute, and has nothing to save."""

_KILL_S = 10.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Started:
    """A process that we started; the start time tells it from a later process that got the same number."""

    pid: int
    start_time: float
    mark: str

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.start_time) < _START_TOLERANCE_S
            return process if is_same and _is_alive(process) else None
        except psutil.NoSuchProcess:
            return None


def family(started: Started) -> list[psutil.Process]:
    """Return every living process of a service: its first one, orphans that bear its mark, and their descendants."""
    root = started.find()
    found = {process.pid: process for process in _with_descendants([root] if root else [])}
    marked = [process for process in psutil.process_iter() if _mark(process) == started.mark]
    found |= {process.pid: process for process in _with_descendants(marked)}
    ourselves = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for pid, process in found.items() if pid not in ourselves and _is_alive(process)]


def end(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """End processes, gently first; returns those that could not be ended."""
    alive = list(processes)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    alive = _wait(alive, _GRACE_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return _wait(alive, _KILL_S)


def memory_mb(processes: Iterable[psutil.Process]) -> float:
    """Return the memory that processes use together, MB; a page that several share counts once."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            usage = process.memory_full_info()
            total += getattr(usage, "pss", usage.uss)
    return total / 2**20


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return the processes that are still alive after a while, or none as soon as all have ended."""
    deadline = time.monotonic() + seconds
    alive = processes
    while (alive := [process for process in alive if _is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """Tell a running process from an ended one, also from one whose parent has not yet asked how it ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found += [process, *process.children(recursive=True)]
    return found


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK_VARIABLE)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None
