"""Seeing what hardware there is."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from opabinia.cluster.resources import find_hardware, usable_cpus, usable_memory_bytes

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", CORES), ("50000 100000", 1), ("150000 100000", min(CORES, 2)), ("", CORES)],
)
def test_a_containers_quota_limits_the_cpus(tmp_path: Path, quota: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cpus(tmp_path) == cpus


@pytest.mark.parametrize(("limit", "memory"), [("1073741824", 2**30), ("max", psutil.virtual_memory().total)])
def test_a_containers_limit_limits_the_memory(tmp_path: Path, limit: str, memory: int) -> None:
    (tmp_path / "memory.max").write_text(limit)
    assert usable_memory_bytes(tmp_path) == memory


def test_without_a_container_all_of_the_machine_is_there(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == CORES
    assert usable_memory_bytes(tmp_path) == psutil.virtual_memory().total


def test_this_machine_has_something() -> None:
    hardware = find_hardware()
    assert 1 <= hardware.cpus <= CORES
    assert 0 < hardware.memory_bytes <= psutil.virtual_memory().total
