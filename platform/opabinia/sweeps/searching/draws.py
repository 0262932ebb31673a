"""The points that a search has drawn, on disk in their order: a search that was killed goes on after them.

A JSONL file, a line each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast

from opabinia.sweeps.searching.points import Point
from opabinia.sweeps.searching.ranges import Value


def log_draw(file: Path, point: Point) -> None:
    """Before anything is run of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(point) + "\n")
        lines.flush()
        os.fsync(lines.fileno())


def logged_draws(file: Path) -> list[Point]:
    """None where there is no file. A last line that was cut off while it was written is dropped from the file.

    Raises ValueError naming file and line where another is damaged.
    """
    if not file.exists():
        return []
    os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
    return [_point(file, number, line) for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)]


def _point(file: Path, number: int, line: str) -> Point:
    try:
        entries = cast("dict[str, object]", json.loads(line)).items()
        return {
            name: cast("Value", tuple(cast("list[int]", value)) if isinstance(value, list) else value)
            for name, value in entries
        }
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{file}: line {number} is damaged ({error}); move the file away to draw anew") from None
