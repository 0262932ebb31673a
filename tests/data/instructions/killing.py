"""Killing a run with its Ray, and what it left behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 the run itself, and wait for its Ray to end; Ray's agents outlive it, and are of no use to anyone."""
    family = psutil.Process(process.pid).children(recursive=True)
    agents = [child for child in family if "Agent" in child.name()]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs([child for child in family if child not in agents], timeout=60)
    assert not alive
    for agent in agents:
        with suppress(psutil.NoSuchProcess):
            agent.kill()


def complete_lines(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("*.answers.jsonl"))


def contents(folder: Path) -> str:
    return "".join(file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file())
