"""The rows of an ablation: one a trial, as a table in three formats, and averaged over seeds for pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

COLUMNS = (
    "rank", "encoders", "connector", "seed", "status", "steps", "seconds", "general", "knowledge", "ocr_chart",
    "vision_centric", "average", "low", "high", "blind_average", "random_average", "vision_gain", "trial",
)  # fmt: skip

SUMMARY = (
    "rank",
    "encoders",
    "connector",
    "seed",
    "status",
    "average",
    "low",
    "high",
    "blind_average",
    "random_average",
    "vision_gain",
)
"""The columns that fit on the head of a run's page."""

_WORDS = frozenset({"encoders", "connector", "status", "trial"})
_FAMILIES = ("general", "knowledge", "ocr_chart", "vision_centric")

Place = tuple[str, str]
"""Encoder label and connector: row and column of a heat map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationRow:
    """One trial. Scores are percent, `vision_gain` percentage points; None where not measured.

    `low` and `high` are the ends of the score's 95 % interval over questions.
    """

    trial: str
    encoders: tuple[str, ...]
    connector: str
    seed: int
    status: str
    steps: int
    seconds: float
    families: Mapping[str, float]
    score: float | None
    blind: float | None
    random: float | None
    vision_gain: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """An encoder set with a connector, averaged over seeds. `status` is that of the trials that give the score.

    `half_width` is that of the score's 95 % interval over questions, and over seeds where there are several; None if unknown.
    """

    score: float | None
    lowest: float | None
    highest: float | None
    seeds: int
    status: str
    steps: int
    half_width: float | None = None


def encoder_label(encoders: Sequence[str]) -> str:
    """ "clip-vit + convnext": an encoder set without the publishers."""
    return " + ".join(name.rsplit("/", 1)[-1] for name in encoders)


def ranked(rows: Iterable[AblationRow]) -> list[AblationRow]:
    """Best score first; rows without one last."""
    return sorted(rows, key=lambda row: (row.score is None, -(row.score or 0.0), row.trial))


def table_rows(rows: Iterable[AblationRow]) -> list[list[object]]:
    """The values of COLUMNS for each row, ranked; None where not measured."""
    return [
        [
            position if row.score is not None else None,
            encoder_label(row.encoders), row.connector, row.seed, row.status, row.steps, round(row.seconds, 1),
            *(_rounded(row.families.get(family)) for family in _FAMILIES),
            *(_rounded(value) for value in (row.score, row.low, row.high, row.blind, row.random, row.vision_gain)), row.trial,
        ]
        for position, row in enumerate(ranked(rows), start=1)
    ]  # fmt: skip


def as_csv(rows: Iterable[AblationRow]) -> str:
    """The table with a header line; empty where not measured."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(table_rows(rows))
    return text.getvalue()


def as_markdown(rows: Iterable[AblationRow], columns: Sequence[str] = COLUMNS) -> str:
    """The table, or some columns of it, for a page; numbers are right-aligned, and names are escaped."""
    lines = [
        f"| {' | '.join(column.replace('_', ' ') for column in columns)} |",
        f"| {' | '.join('---' if column in _WORDS else '---:' for column in columns)} |",
    ]
    for row in table_rows(rows):
        values: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
        lines.append(f"| {' | '.join(_markdown(values[column]) for column in columns)} |")
    return "\n".join(lines) + "\n"


def grid(
    rows: Iterable[AblationRow], family: str | None = None, half_widths: Mapping[Place, float] | None = None
) -> dict[Place, Cell]:
    """Cells of one family or of the average; `half_widths` are those of their scores' intervals, where known.

    Where some seeds finished, only those count: a partial score is no estimate of a finished one.
    """
    by_cell: dict[Place, list[AblationRow]] = {}
    for row in rows:
        by_cell.setdefault((encoder_label(row.encoders), row.connector), []).append(row)
    known = half_widths or {}
    return {place: _cell(members, family, known.get(place)) for place, members in by_cell.items()}


def _cell(rows: Sequence[AblationRow], family: str | None, half_width: float | None) -> Cell:
    finished = [row for row in rows if row.status == "finished"]
    counted = finished or rows
    measured = [score for row in counted if (score := _score(row, family)) is not None]
    return Cell(
        score=fmean(measured) if measured else None,
        lowest=min(measured, default=None),
        highest=max(measured, default=None),
        seeds=len(measured),
        status=counted[0].status,
        steps=max(row.steps for row in counted),
        half_width=half_width if finished else None,
    )


def _score(row: AblationRow, family: str | None) -> float | None:
    return row.score if family is None else row.families.get(family)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)


def _markdown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "–" if value is None else str(value).replace("|", r"\|")
