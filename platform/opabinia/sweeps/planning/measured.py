"""How long earlier trials of the same experiment took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

from opabinia.command_line.yaml_text import read_document
from opabinia.training.run import RunConfig

_OF_A_STAGE = ("data", "trains", "alone", "batch", "per_device_batch", "batching")
_OF_WORKERS = ("count", "cpus", "threads", "hardware", "precision", "sharding", "compiled")


@dataclass(frozen=True, slots=True)
class Pace:
    """start_up: seconds from when a run was asked for to its first step. step: seconds of a step, scoring spread over all steps."""

    start_up: float
    step: float


def measured_pace(output: Path, run: RunConfig) -> Pace | None:
    """The median of the run's own kind (all but its seed) in sweeps below `output` with the same data, stages and workers."""
    paces = [
        pace
        for results in sorted(output.glob("sweeps/*/results/reports.json"))
        if _same_settings(results.parents[1] / "experiment.yaml", run)
        for pace in _paces(results, run)
    ]
    if not paces:
        return None
    return Pace(median(pace.start_up for pace in paces), median(pace.step for pace in paces))


def _paces(results: Path, run: RunConfig) -> list[Pace]:
    try:
        reports: list[dict[str, Any]] = json.loads(results.read_text())
        curves: dict[str, dict[str, Any]] = json.loads(results.with_name("curves.json").read_text())
    except (OSError, ValueError):
        return []
    alike = [
        report
        for report in reports
        if set(report["encoders"]) == set(run.model.encoders)
        and report["connector"] == run.connector_label
        and report["steps"]
    ]
    starts = [curves.get(report["trial_id"], {}).get("start_up_seconds") or 0.0 for report in alike]
    return [Pace(s, (r["seconds"] - s) / r["steps"]) for r, s in zip(alike, starts, strict=True) if r["seconds"] > s]


def _same_settings(file: Path, run: RunConfig) -> bool:
    """Whether a sweep's settings are the run's in all that decides how long a step takes; what they do not state is as now."""
    try:
        then = read_document(str(file))
    except ValueError:
        return False
    stages: list[dict[str, Any]] = then.get("stages", [])
    sweep: dict[str, Any] = then.get("sweep") or {}
    connectors: list[dict[str, Any]] = sweep.get("connectors", [])
    now = {
        "language_model": run.model.language_model,
        "lora": run.model.lora and run.model.lora.model_dump(mode="json"),
        "workers": {name: getattr(run.workers, name) for name in _OF_WORKERS},
        "cache": {"enabled": run.cache.enabled},
        "data": {"max_length": run.data.max_length},
    }
    of_stages = [_settings(stage, _OF_A_STAGE) for stage in run.stages]
    return (
        _agree(then, now)
        and len(stages) == len(of_stages)
        and all(map(_agree, stages, of_stages))
        and any(_agree(connector, run.model.connector.model_dump(mode="json")) for connector in connectors)
    )


def _settings(model: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return model.model_dump(mode="json", include=set(names))


def _agree(then: Any, now: Any) -> bool:
    """Whether two settings are the same wherever both state something."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        old, new = cast("Mapping[str, Any]", then), cast("Mapping[str, Any]", now)
        return all(_agree(old[name], new[name]) for name in old.keys() & new.keys())
    return bool(then == now)
