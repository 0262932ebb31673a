"""Measure what the README claims of the quickstart sweep, on this machine, and print it.

    make sweep                                  once, so that everything is set up and the services run
    .venv/bin/python benchmarks/quickstart.py   every measurement, some 40 minutes on 2 cores; or name some of:

sweep    the whole quickstart sweep: wall time, peak memory, trials, champion with and without the image, start-up time
seeds    encoder sets over three seeds: difference between sets against the spread over seeds
cache    the same sweep with features computed once and with encoders run in every trial, one after the other
repeat   one trial twice with the same seed: are the losses identical?

The numbers are written to docs/results/quickstart.json as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from opabinia.evaluation.report import TrialReport, champion, from_json, vision_gain
from opabinia.evaluation.spread import encoder_spread

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "quickstart.json"
_POOL = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")
_SETS = json.dumps([[name] for name in _POOL] + [list(_POOL)])
_SHORT = ("--stages.0.steps", "60", "--stages.1.steps", "90")
_OURS = ("ray::", "/ray/", "mlflow", "sweep_encoders", "ray.scripts", "opabinia")


@dataclass(frozen=True)
class Sweep:
    """One run of jobs/sweep_encoders.py: wall seconds, peak memory of all processes in GB (PSS), and what it reported."""

    seconds: float
    peak_gb: float
    reports: list[TrialReport]
    trials: dict[str, Any]


def main(names: list[str]) -> None:
    unknown = set(names) - set(MEASUREMENTS)
    if unknown:
        sys.exit(f"unknown measurement {', '.join(sorted(unknown))}; known: {', '.join(MEASUREMENTS)}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or MEASUREMENTS:
        known[name] = {**MEASUREMENTS[name](), "commit": _commit(), "date": time.strftime("%Y-%m-%d")}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")
        print(name, json.dumps(known[name], indent=1), flush=True)


def measure_sweep() -> dict[str, object]:
    sweep = _run("sweep")
    best = champion(sweep.reports)
    assert best is not None
    start_up = [trial["start_up_seconds"] for trial in sweep.trials.values()]
    return {
        "wall_seconds": round(sweep.seconds),
        "peak_memory_gb": round(sweep.peak_gb, 2),
        "finished": sum(report.status == "finished" for report in sweep.reports),
        "stopped_by_scheduler": sum(report.status == "stopped" for report in sweep.reports),
        "champion": best.trial_id,
        "champion_score": round(best.score or 0, 1),
        "champion_gain_points": round(vision_gain(best) or 0, 1),
        "start_up_seconds_median": round(median(start_up), 1),
    }


def measure_seeds() -> dict[str, object]:
    to_the_end = ("--sweep.scheduler", "null")
    one = ("--sweep.connectors", '[{"type": "mlp2x_gelu"}]', "--sweep.seeds", "0", "1", "2")
    sweep = _run("seeds", "--sweep.encoder_sets", _SETS, *one, *to_the_end)
    spread = encoder_spread(sweep.reports)
    scores: dict[str, list[float]] = {}
    for report in sweep.reports:
        scores.setdefault(" + ".join(report.encoders), []).append(round(report.score or 0, 1))
    return {
        "between_encoder_sets_points": round(spread.between, 1),
        "over_seeds_points": round(spread.seeds or 0, 1),
        "best": " + ".join(spread.best),
        "worst": " + ".join(spread.worst),
        "scores_over_seeds": scores,
    }


def measure_cache() -> dict[str, object]:
    chosen = ("--sweep.encoder_sets", _SETS, "--sweep.scheduler", "null", *_SHORT)
    cached = _run("cached", *chosen)
    encoding = _run("encoding", *chosen, "--cache.enabled", "false")
    return {
        "trials": len(cached.reports),
        "features_once_seconds": round(cached.seconds),
        "encoding_in_every_trial_seconds": round(encoding.seconds),
        "ratio": round(encoding.seconds / cached.seconds, 2),
    }


def measure_repeat() -> dict[str, object]:
    chosen = ("--sweep.encoder_sets", f'[["{_POOL[0]}"]]', "--sweep.scheduler", "null", *_SHORT)
    curves = [_losses(_run(f"repeat{number}", *chosen)) for number in range(2)]
    return {"losses_compared": sum(map(len, curves[0].values())), "identical": curves[0] == curves[1]}


MEASUREMENTS: dict[str, Callable[[], dict[str, object]]] = {
    "sweep": measure_sweep,
    "seeds": measure_seeds,
    "cache": measure_cache,
    "repeat": measure_repeat,
}


def _run(name: str, *overrides: str) -> Sweep:
    output = ROOT / "runs" / "measurements" / name
    command = [
        "jobs/sweep_encoders.py",
        "--name",
        name,
        "--output",
        str(output),
        "--tracking.experiment",
        "measurements",
    ]
    subprocess.run(["rm", "-rf", str(output)], check=True)
    with _PeakMemory() as memory:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command, *_tracking(), *overrides], cwd=ROOT, env=_services(), check=True)
        seconds = time.perf_counter() - started
    (results,) = output.glob("sweeps/*/results")
    reports = [from_json(json.dumps(report)) for report in json.loads((results / "reports.json").read_text())]
    return Sweep(seconds, memory.peak / 2**30, reports, json.loads((results / "curves.json").read_text()))


def _losses(sweep: Sweep) -> dict[str, list[float]]:
    return {name: [point["loss"] for point in trial["curve"]] for name, trial in sweep.trials.items()}


def _services() -> dict[str, str]:
    """The environment in which clients find the local services; they must be running."""
    lines = subprocess.run([sys.executable, "-m", "opabinia.cluster", "env"], capture_output=True, text=True, cwd=ROOT)
    if lines.returncode:
        sys.exit(lines.stderr.strip() or "the local services are not running; run `make sweep` or `make ui` first")
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines.stdout.splitlines() if "=" in line)
    return {**os.environ, **{name: value.strip("'\"") for name, value in pairs}}


def _tracking() -> tuple[str, str]:
    return "--tracking.uri", _services()["MLFLOW_TRACKING_URI"]


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()


class _PeakMemory:
    """Samples the proportional set size of the platform's processes every two seconds."""

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(2.0):
            self.peak = max(self.peak, sum(map(_pss, psutil.process_iter())))


def _pss(process: psutil.Process) -> int:
    try:
        line = " ".join(process.cmdline())
        return process.memory_full_info().pss if any(mark in line for mark in _OURS) else 0
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main(sys.argv[1:])
