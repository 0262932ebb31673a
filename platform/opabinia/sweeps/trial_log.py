"""What each trial of a sweep has told so far, on disk: a sweep that was killed goes on from there, and another can be compared with it.

A JSONL file a trial: the run, a line for each report, and last what became of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from opabinia.evaluation.report import TrialReport, from_json, to_json
from opabinia.training.run import RunConfig


@dataclass(frozen=True, slots=True)
class Told:
    """One report. checkpoint: what was reported with it. curve: a point for each step since the last report."""

    report: TrialReport
    checkpoint: Path
    start_up_seconds: float
    curve: Sequence[Mapping[str, float]]


@dataclass(slots=True)
class LoggedTrial:
    """ended: finished, stopped or failed; None of a trial that was cut off."""

    run: RunConfig
    told: list[Told] = field(default_factory=list[Told])
    ended: str | None = None


def log_start(folder: Path, run: RunConfig) -> None:
    """A trial begins, or begins again after it failed or was cut off; what it has told stays."""
    path = _file(folder, run.name)
    folder.mkdir(parents=True, exist_ok=True)
    _append(path, {"ended": None} if _has_whole_lines(path) else {"run": run.model_dump(mode="json")})


def log_told(folder: Path, name: str, told: Told) -> None:
    line = {
        "report": json.loads(to_json(told.report)),
        "checkpoint": str(told.checkpoint),
        "start_up_seconds": told.start_up_seconds,
        "curve": list(told.curve),
    }
    _append(_file(folder, name), {"told": line})


def log_end(folder: Path, name: str, status: str) -> None:
    """What became of a trial: finished, stopped or failed."""
    _append(_file(folder, name), {"ended": status})


def logged_trials(folder: Path) -> dict[str, LoggedTrial]:
    """By name, all that were begun; none where there is no folder.

    A last line that was cut off while it was written is left out. Raises ValueError naming file and line where another is damaged.
    """
    trials = dict[str, LoggedTrial]()
    for path in sorted(folder.glob("*.jsonl")):
        lines = _lines(path)
        if lines:
            trials[path.stem] = _trial(path, lines)
    return trials


def _trial(path: Path, lines: Sequence[str]) -> LoggedTrial:
    trial: LoggedTrial | None = None
    for number, line in enumerate(lines, start=1):
        try:
            entry = cast("dict[str, Any]", json.loads(line))
            if trial is None:
                trial = LoggedTrial(RunConfig.model_validate(entry["run"]))
            elif "told" in entry:
                trial.told.append(_told(entry["told"]))
            else:
                trial.ended = entry["ended"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: line {number} is damaged ({error}); move the file away to run the trial anew"
            ) from None
    assert trial is not None
    return trial


def _told(entry: Mapping[str, Any]) -> Told:
    report = from_json(json.dumps(entry["report"]))
    return Told(report, Path(entry["checkpoint"]), entry["start_up_seconds"], entry["curve"])


def _lines(path: Path) -> list[str]:
    """The whole ones: what was cut off has no end."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def _has_whole_lines(path: Path) -> bool:
    """After dropping what was cut off."""
    if not path.exists():
        return False
    end = path.read_bytes().rfind(b"\n") + 1
    os.truncate(path, end)
    return end > 0


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl"
