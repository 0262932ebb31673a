"""Ablation heat maps: encoder sets down the side, connectors along the top, the score written on each cell."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from opabinia.tracking.ablation import AblationRow, Place, grid
from opabinia.tracking.heat_cells import INK, MUTED, colour_scale, draw_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

FAMILY_TITLES: Mapping[str, str] = {
    "general": "General",
    "knowledge": "Knowledge",
    "ocr_chart": "OCR & chart",
    "vision_centric": "Vision-centric",
}

_LETTERS_PER_INCH = 11.5
_LONGEST_LINE = 64
"""Letters in one line of a row label."""
_LINE_HEIGHT = 0.18
_CELL_HEIGHT = 0.72
_SMALL_CELL_HEIGHT = 0.42
_HEAD = 1.15
"""Room above the cells for titles and connector names, inches."""
_FOOT = 0.95
_GAP = 0.35


@dataclass(frozen=True, slots=True)
class _Layout:
    """Labels, and the size of a cell and of all cells together, inches."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cell: tuple[float, float]

    @property
    def width(self) -> float:
        return self.cell[0] * len(self.columns)

    @property
    def height(self) -> float:
        return self.cell[1] * len(self.rows)


def draw_heat_map(
    rows: Sequence[AblationRow], path: Path, *, title: str, half_widths: Mapping[Place, float] | None = None
) -> None:
    """Write a PNG of the mean score over the families, averaged over seeds; rows are ordered by their mean.

    `half_widths`, percentage points, are written after a ± where a cell's interval is known.

    The best finished cell is framed; what the scheduler stopped is grey and hatched with its score so far. Raises
    ValueError when there are no rows.
    """
    layout = _layout(rows, height=_CELL_HEIGHT, narrowest=1.7)
    bar_height = min(max(layout.height, 1.6), 3.6)
    height = max(layout.height, bar_height)
    figure = _figure(layout.width + 1.2, height + _HEAD + _FOOT)
    colours = _panel(figure, rows, layout, left=0.0, family=None, half_widths=half_widths)
    top = figure.get_figheight() - _HEAD
    bar = _axes(figure, layout.width + 0.22, top - bar_height, 0.17, bar_height)
    _colour_bar(figure, colours, bar, "mean accuracy (%)", "vertical")
    _heading(figure, 0.0, top + 0.6, title, size=14)
    _caption(figure, top - height - 0.16, [*_notes(rows), *_guessing(rows), *_intervals(half_widths)])
    _save(figure, path)


def draw_family_maps(rows: Sequence[AblationRow], path: Path, *, title: str) -> None:
    """Write a PNG with one small heat map a family, rows in the order of the main one, each with its own scale.

    Raises ValueError when no row has family scores.
    """
    layout = _layout(rows, height=_SMALL_CELL_HEIGHT, narrowest=0.9)
    families = [family for family in FAMILY_TITLES if any(family in row.families for row in rows)]
    if not families:
        raise ValueError("heat map: no trial has family scores; score at least one trial first")
    stride = max(layout.width, 1.6) + _GAP
    figure = _figure(stride * len(families), layout.height + _HEAD + _FOOT)
    top = figure.get_figheight() - _HEAD
    for index, family in enumerate(families):
        colours = _panel(figure, rows, layout, left=index * stride, family=family)
        bar = _axes(figure, index * stride, top - layout.height - 0.25, layout.width, 0.12)
        _colour_bar(figure, colours, bar, "accuracy (%)", "horizontal")
        _heading(figure, index * stride, top + 0.48, FAMILY_TITLES[family], size=11)
    _heading(figure, 0.0, top + 0.92, title, size=14)
    _caption(figure, top - layout.height - 0.85, [*_notes(rows), "Every family has a colour scale of its own."])
    _save(figure, path)


def _layout(rows: Sequence[AblationRow], *, height: float, narrowest: float) -> _Layout:
    """Rows by mean score, best first; columns in the order they came, wide enough for their longest word."""
    if not rows:
        raise ValueError("heat map: no trials to draw; run at least one")
    cells = grid(rows)
    columns = tuple(dict.fromkeys(connector for _, connector in cells))
    longest = max(len(word) for column in columns for word in _breakable(column).split())
    width = max(narrowest, longest / _LETTERS_PER_INCH + 0.15)

    def mean(label: str) -> float:
        scores = [cell.score for (row, _), cell in cells.items() if row == label and cell.score is not None]
        return fmean(scores) if scores else float("-inf")

    labels = sorted(dict.fromkeys(label for label, _ in cells), key=mean, reverse=True)
    lines = max(len(_row_lines(label)) for label in labels)
    return _Layout(tuple(labels), columns, (width, max(height, lines * _LINE_HEIGHT + 0.06)))


def _panel(
    figure: Figure,
    rows: Sequence[AblationRow],
    layout: _Layout,
    *,
    left: float,
    family: str | None,
    half_widths: Mapping[Place, float] | None = None,
) -> ScalarMappable:
    cells = grid(rows, family, half_widths)
    colours = colour_scale(cells)
    bottom = figure.get_figheight() - _HEAD - layout.height
    axes = _axes(figure, left, bottom, layout.width, layout.height)
    draw_cells(axes, cells, layout.rows, layout.columns, colours, size=layout.cell, notes=family is None)
    _dress(axes, layout, row_labels=left == 0.0)
    return colours


def _dress(axes: Axes, layout: _Layout, *, row_labels: bool) -> None:
    letters = int(layout.cell[0] * _LETTERS_PER_INCH)
    columns = [textwrap.fill(_breakable(column), letters, break_on_hyphens=False) for column in layout.columns]
    rows = ["\n".join(_row_lines(row)) for row in layout.rows]
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), columns, fontsize=9.5, color=INK)
    axes.set_yticks(range(len(rows)), rows if row_labels else [""] * len(rows), fontsize=9.5, color=INK)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=6)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _colour_bar(figure: Figure, colours: ScalarMappable, axes: Axes, label: str, orientation: str) -> None:
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(colours, cax=axes, orientation=orientation, ticks=MaxNLocator(5, integer=True))
    bar.set_label(label, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, color=MUTED, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _notes(rows: Sequence[AblationRow]) -> list[str]:
    notes = ["Framed: the best. Rows are ordered by their mean over connectors."]
    if any(row.status != "finished" for row in rows):
        notes.append("Hatched: stopped early or failed; score so far, off the colour scale.")
    return notes


def _guessing(rows: Sequence[AblationRow]) -> list[str]:
    guesses = [row.random for row in rows if row.random is not None]
    return [f"Mean over the families; guessing would score {fmean(guesses):.1f}."] if guesses else []


def _intervals(half_widths: Mapping[Place, float] | None) -> list[str]:
    return ["±: 95 % interval over the questions, and over seeds where there are several."] if half_widths else []


def _row_lines(label: str) -> list[str]:
    return textwrap.wrap(label, _LONGEST_LINE, break_on_hyphens=False)


def _breakable(connector: str) -> str:
    return connector.replace(",", ", ")


def _figure(width: float, height: float) -> Figure:
    # Figure and canvas of its own: pyplot keeps every figure alive in global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the figure's lower left corner."""
    across, up = figure.get_figwidth(), figure.get_figheight()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _heading(figure: Figure, x: float, y: float, text: str, *, size: float) -> None:
    """Bold text that begins at a place in inches, on its baseline."""
    figure.text(x / figure.get_figwidth(), y / figure.get_figheight(), text, size=size, color=INK, weight="bold")


def _caption(figure: Figure, y: float, lines: Sequence[str]) -> None:
    """Small lines downwards from a height in inches."""
    figure.text(0.0, y / figure.get_figheight(), "\n".join(lines), va="top", size=8.5, color=MUTED, linespacing=1.4)


def _save(figure: Figure, path: Path) -> None:
    # The tight box makes room for row labels, whose width is known only once they are drawn.
    figure.savefig(path, bbox_inches="tight", pad_inches=0.25)
