"""The cells of a heat map: colour, hatching, and the score in letters that can be read on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opabinia.tracking.ablation import Cell, Place

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

INK = "#1b1f24"
MUTED = "#56616b"

_STOPPED = "#e6e9ec"
_HATCH = "#bcc4cb"
_FRAME = "#ea580c"
_COLOURS = "YlGnBu"
_POINTS_PER_INCH = 72
_LEAST_RANGE = 5.0
"""The colour scale spans at least this many percentage points, so that noise does not look like an effect."""


def colour_scale(cells: Mapping[Place, Cell]) -> ScalarMappable:
    """From percent to colour, over the scores of what finished."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scores = [cell.score for cell in cells.values() if cell.score is not None and cell.status == "finished"]
    low, high = (min(scores), max(scores)) if scores else (0.0, 100.0)
    slack = max(0.0, _LEAST_RANGE - (high - low)) / 2
    return ScalarMappable(Normalize(max(0.0, low - slack), min(100.0, high + slack)), _COLOURS)


def draw_cells(
    axes: Axes,
    cells: Mapping[Place, Cell],
    rows: Sequence[str],
    columns: Sequence[str],
    colours: ScalarMappable,
    *,
    size: tuple[float, float],
    notes: bool,
) -> None:
    """Fill the axes, a rectangle a cell. `size` is a cell's width and height, inches; `notes` adds a small line."""
    best = _best(cells)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            cell = cells.get((row, column))
            face = _fill(axes, x, y, cell, colours)
            _write(axes, x, y, cell, face, size, notes=notes)
            if best == (row, column):
                _frame(axes, x, y, size)


def _best(cells: Mapping[Place, Cell]) -> Place | None:
    finished = {place: cell for place, cell in cells.items() if cell.status == "finished"}
    scores = {place: cell.score for place, cell in finished.items() if cell.score is not None}
    return max(scores, key=lambda place: scores[place]) if scores else None


def _fill(axes: Axes, x: int, y: int, cell: Cell | None, colours: ScalarMappable) -> str:
    """Draw the cell's ground and return its colour."""
    from matplotlib.colors import to_hex
    from matplotlib.patches import Rectangle

    corner = (x - 0.5, y - 0.5)
    if cell is None:
        return "#ffffff"
    if cell.status == "finished" and cell.score is not None:
        red, green, blue, _ = colours.cmap(float(colours.norm(cell.score)))  # pyright: ignore[reportArgumentType]
        face = to_hex((red, green, blue))
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, linewidth=0))
    else:
        face = _STOPPED
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=face, edgecolor=_HATCH, hatch="////", linewidth=0))
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="white", linewidth=2))
    return face


def _write(axes: Axes, x: int, y: int, cell: Cell | None, face: str, size: tuple[float, float], *, notes: bool) -> None:
    ink = MUTED if face in ("#ffffff", _STOPPED) else _readable_ink(face)
    # On hatching a plain plate behind the letters keeps them readable.
    plate = {"boxstyle": "round,pad=0.18", "facecolor": face, "edgecolor": "none"} if face == _STOPPED else None
    score, note = _wording(cell)
    weight = "bold" if cell and cell.status == "finished" else "normal"
    text_size = 13 if notes else 10
    lift = 9 / _POINTS_PER_INCH / size[1] if notes and note else 0.0
    axes.text(x, y - lift, score, ha="center", va="center", size=text_size, weight=weight, color=ink, bbox=plate)
    if lift:
        axes.text(x, y + 1.3 * lift, note, ha="center", va="center", size=8, color=ink, bbox=plate)


def _wording(cell: Cell | None) -> tuple[str, str]:
    """The score, and a note on how it came about."""
    if cell is None:
        return "–", ""
    score = "–" if cell.score is None else f"{cell.score:.1f}"
    if cell.status != "finished":
        return score, f"{cell.status}, step {cell.steps}"
    if cell.half_width is not None:
        return score, f"±{cell.half_width:.1f}" + (f", {cell.seeds} seeds" if cell.seeds > 1 else "")
    if cell.seeds > 1 and cell.lowest is not None and cell.highest is not None:
        return score, f"{cell.lowest:.1f} to {cell.highest:.1f}, {cell.seeds} seeds"
    return score, ""


def _frame(axes: Axes, x: int, y: int, size: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    inset = 0.035
    width, height = 1 - 2 * inset / size[0], 1 - 2 * inset / size[1]
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=_FRAME, linewidth=2.4, zorder=4))


def _readable_ink(face: str) -> str:
    """Dark or white, whichever contrasts more (relative luminance of WCAG 2)."""
    dark = (_luminance(face) + 0.05) / (_luminance(INK) + 0.05)
    light = 1.05 / (_luminance(face) + 0.05)
    return INK if dark >= light else "#ffffff"


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
