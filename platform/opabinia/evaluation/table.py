"""The ranked table that a sweep ends with, for a terminal of 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from opabinia.evaluation.report import TrialReport, comparable, rank, vision_gain
from opabinia.evaluation.scoring import FamilyScores

if TYPE_CHECKING:
    from opabinia.evaluation.statistics.intervals import Interval

WIDTH = 120
"""Columns of a terminal that the table fits into."""

_HEADINGS = (
    "#", "encoders", "connector", "seed", "status", "steps", "G", "K", "O", "V", "avg", "blind", "random", "gain",
)  # fmt: skip
_LEFT_ALIGNED = frozenset({"encoders", "connector", "status"})
_SHRINKING = ("encoders", "connector")
_NARROWEST = 12
_FAMILY_COLUMNS = ("general", "knowledge", "ocr_chart", "vision_centric")
_LEGEND = "G general  K knowledge  O OCR & chart  V vision-centric, percent with the image; avg their mean"
_GAIN_LEGEND = "blind, random: avg without the image, by guessing; gain: with − blind over G, O, V, points"
_INTERVAL_LEGEND = "± 95 % interval over the questions, of this one trained model: trained again, it may lie outside"
_STOPPED_LEGEND = "* stopped early by the scheduler, scored as it was then"


def render_table(reports: Iterable[TrialReport], intervals: Mapping[str, Interval] | None = None) -> str:
    """Ranked, aligned lines without colour, each at most 120 columns; stopped trials carry a star.

    `intervals` of the average, by trial, are written as "71.2 ±3.1".
    """
    ranked, known = rank(reports), intervals or {}
    rows = [_cells(position, report, known.get(report.trial_id)) for position, report in enumerate(ranked, start=1)]
    if not rows:
        return "no trials"
    widths = _fit([max(len(line[column]) for line in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))])
    lines = [*_lines(_HEADINGS, widths), _join(["─" * width for width in widths])]
    for row in rows:
        lines += _lines(row, widths)
    return "\n".join([*lines, "", *_legend(ranked, known)])


def short_names(names: Sequence[str]) -> str:
    """Encoders in one cell: "clip-vit + convnext", without the publisher."""
    return " + ".join(name.rsplit("/", 1)[-1] for name in names)


def _cells(position: int, report: TrialReport, interval: Interval | None) -> tuple[str, ...]:
    gain = vision_gain(report)
    return (
        str(position) if report.with_image else "–",
        short_names(report.encoders),
        report.connector,
        str(report.seed),
        f"{report.status}*" if report.status == "stopped" else report.status,
        str(report.steps),
        *(_family(report.with_image, family) for family in _FAMILY_COLUMNS),
        interval.plus_minus if interval else _average(report.with_image),
        *(_average(scores) for scores in (report.blind, report.random)),
        "–" if gain is None else f"{gain:+.1f}",
    )


def _family(scores: FamilyScores | None, family: str) -> str:
    return f"{scores.families[family]:.1f}" if scores and family in scores.families else "–"


def _average(scores: FamilyScores | None) -> str:
    return f"{scores.average:.1f}" if scores else "–"


def _fit(widths: list[int]) -> list[int]:
    """Narrow the columns of names, the wider one first, until a line fits."""
    names = [_HEADINGS.index(heading) for heading in _SHRINKING]
    while len(_join(["─" * width for width in widths])) > WIDTH:
        widest = max(names, key=lambda column: widths[column])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """One row; a name too long for its column goes on below itself."""
    wrapped = [_wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    height = max(len(cell) for cell in wrapped)
    padded = [[*cell, *[""] * (height - len(cell))] for cell in wrapped]
    return [
        _join([_align(text, width, heading) for text, width, heading in zip(line, widths, _HEADINGS, strict=True)])
        for line in zip(*padded, strict=True)
    ]


def _wrap(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text.replace(",", ", "), width, break_on_hyphens=False)


def _join(cells: Sequence[str]) -> str:
    """Two spaces before names, one before numbers, which their alignment sets apart already."""
    gaps = ["" if not place else "  " if heading in _LEFT_ALIGNED else " " for place, heading in enumerate(_HEADINGS)]
    return "".join(gap + cell for gap, cell in zip(gaps, cells, strict=True)).rstrip()


def _align(text: str, width: int, heading: str) -> str:
    return text.ljust(width) if heading in _LEFT_ALIGNED else text.rjust(width)


def _legend(ranked: Sequence[TrialReport], intervals: Mapping[str, Interval]) -> list[str]:
    lines = [_LEGEND, _GAIN_LEGEND]
    if intervals:
        lines.append(_INTERVAL_LEGEND)
    if any(report.status == "stopped" for report in ranked):
        lines.append(_STOPPED_LEGEND)
    if not comparable(ranked):
        lines.append("Warning: scored with different prompts, scorers or formulas; these numbers do not compare")
    return lines
