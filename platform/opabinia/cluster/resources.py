"""What hardware this machine has."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
_DEVICES = Path("/dev")


@dataclass(frozen=True, slots=True)
class Hardware:
    """CPUs and memory that this process may use, and the accelerators that the machine shows."""

    cpus: int
    memory_bytes: int
    gpus: int
    tpu_chips: int


def find_hardware() -> Hardware:
    """Look at this machine; imports no accelerator library."""
    return Hardware(usable_cpus(), usable_memory_bytes(), _count("nvidia[0-9]*"), _tpu_chips())


def usable_cpus(cgroup: Path = _CGROUP) -> int:
    """Return how many CPU cores this process may use: its affinity, and a container's quota, at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal():
        cores = min(cores, math.ceil(int(quota) / int(period)))
    return max(cores, 1)


def usable_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return how much memory this process may use, bytes: the machine's, or a container's limit."""
    limit = _read(cgroup / "memory.max")
    total = psutil.virtual_memory().total
    return min(total, int(limit)) if limit.isdecimal() else total


def _tpu_chips() -> int:
    # Older TPU VMs show a chip as /dev/accelN, newer ones as a numbered VFIO group.
    return _count("accel[0-9]*") or _count("vfio/[0-9]*")


def _count(pattern: str) -> int:
    return sum(1 for _ in _DEVICES.glob(pattern))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
