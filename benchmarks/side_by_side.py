"""Measurements of several ways to do one thing, each in a process of its own, in turns."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch

Measured = dict[str, float]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """With --device, --rounds and --child, whose values a child gets to know what it measures."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    return parser


def results_of(options: argparse.Namespace) -> dict[str, Any]:
    """What results begin with: on what device, of which commit, when."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"device": options.device, "commit": asked.stdout.strip(), "date": time.strftime("%Y-%m-%d")}


def measured(
    ways: dict[str, list[str]], flags: list[str], rounds: int, *, memory_apart: bool = True
) -> dict[str, Measured]:
    """Medians over the rounds of "seconds" and "peak_mb", or whatever else this script prints as a child.

    `ways` maps a name to the values of --child. Each round visits every way, so that all see the same machine, and each visit is a
    new process, so that none inherits memory. memory_apart: whether "peak_mb" comes from a second visit.
    """
    visit = _visit if memory_apart else partial(_in_child, environment={})
    visits = [{name: visit(values, flags) for name, values in ways.items()} for _ in range(rounds)]
    medians = {name: {key: median(one[name][key] for one in visits) for key in visits[0][name]} for name in ways}
    print(json.dumps(medians, indent=1), flush=True)
    return medians


def timed(run: Callable[[], None], device: str, times: int = 3) -> float:
    """Median seconds of some runs after a first; on a CPU those that the process had of its one core."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds: list[float] = []
    for _ in range(times + 1):
        _wait(device)
        started = clock()
        run()
        _wait(device)
        seconds.append(clock() - started)
    return round(median(seconds[1:]), 4)


def peak_mb(device: str) -> float:
    """The most memory that this process has had so far."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return torch.cuda.max_memory_allocated() / 2**20


def _visit(values: list[str], flags: list[str]) -> Measured:
    """Time as the C library gives memory out by itself; memory with every tensor given back to the system when it is freed."""
    own = _in_child(values, flags, {})
    return {**own, "peak_mb": _in_child(values, flags, {"MALLOC_MMAP_THRESHOLD_": str(2**17)})["peak_mb"]}


def _in_child(values: list[str], flags: list[str], environment: dict[str, str]) -> Measured:
    command = [sys.executable, sys.argv[0], *flags, "--child", *values]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **environment})
    return json.loads(done.stdout)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
