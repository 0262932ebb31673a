"""Ending what we started, all of it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from opabinia.cluster.processes import MARK_VARIABLE, Started, end, family

# Starts a child in a session of its own, as Ray does for the jobs that are submitted to it, and waits.
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
CHILD = "import time; print('ready', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + CHILD

Launcher = Callable[..., Started]


@pytest.fixture
def launch() -> Iterator[Launcher]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, mark: str) -> Started:
        process = subprocess.Popen(
            [sys.executable, "-c", *arguments],
            env={**os.environ, MARK_VARIABLE: mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return Started(process.pid, psutil.Process(process.pid).create_time(), mark)

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_descendants_go_too_and_others_stay(launch: Launcher) -> None:
    ours = launch(PARENT, CHILD, mark="ours")
    others = launch(PARENT, CHILD, mark="others")
    members = family(ours)
    assert len(members) == 2
    assert end(members) == []
    assert family(ours) == []
    assert len(family(others)) == 2
    end(family(others))


def test_orphans_are_found_by_their_mark(launch: Launcher) -> None:
    ours = launch(PARENT, CHILD, mark="orphans")
    os.kill(ours.pid, 9)
    orphans = wait_for(lambda: [process for process in family(ours) if process.ppid() != ours.pid])
    assert ours.find() is None
    assert len(orphans) == 1
    assert end(orphans) == []
    assert family(ours) == []


def test_a_process_that_ignores_the_gentle_signal_is_killed(launch: Launcher) -> None:
    ours = launch(STUBBORN, mark="stubborn")
    assert end(family(ours)) == []
    assert ours.find() is None


def test_a_later_process_with_the_same_number_is_not_ours(launch: Launcher) -> None:
    ours = launch(CHILD, mark="first")
    earlier = replace(ours, start_time=ours.start_time - 3600, mark="earlier")
    assert earlier.find() is None
    assert family(earlier) == []
    assert ours.find() is not None


def test_the_command_that_looks_is_never_part_of_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    me = psutil.Process()
    assert family(Started(me.pid, me.create_time(), "unused")) == []


def wait_for(condition: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    deadline = time.monotonic() + 10
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
