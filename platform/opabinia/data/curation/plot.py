"""The tail of a data set: how the records add up over its sources, and what limits on a source cut off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opabinia.storage.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#1b1f24"
_MUTED = "#56616b"
_GRID = "#e4e8ec"
_APART = 0.045
"""Least distance between two labels, as a share of the height."""


def draw_cumulative_counts(counts: Sequence[int], thresholds: Sequence[int], path: Path) -> None:
    """Write a PNG: records so far, over the sources from small to large, without a limit and with each that cuts something off.

    counts: records of each source, in any order. As Figure 10 of Tong et al. 2024. Raises ValueError when there is no source.
    """
    if not counts:
        raise ValueError("counts: there are no sources to draw")
    figure, axes = _figure()
    tail = np.sort(np.array(counts, dtype=np.int64))
    cutting = [limit for limit in sorted(thresholds) if limit < tail[-1]]
    places = np.arange(1, len(tail) + 1)
    colours = _colours(len(cutting))
    ends = list[tuple[float, str]]()
    for limit, colour in zip([*cutting, None], colours, strict=True):
        sums = np.cumsum(tail if limit is None else np.minimum(tail, limit))
        label = "no limit" if limit is None else f"t = {_short(limit)}"
        axes.plot(places, sums, color=colour, linewidth=2, marker="o" if len(tail) == 1 else "", clip_on=False)
        ends.append((float(sums[-1]), f"{label}: {_short(int(sums[-1]))}"))
    axes.set_xlim(1, max(2, len(tail)))
    axes.set_ylim(0, ends[-1][0] * 1.02)
    _label_ends(axes, ends, colours)
    with whole_file(path) as handle:
        figure.savefig(handle, format="png")


def _figure() -> tuple[Figure, Axes]:
    # Figure and canvas of its own: pyplot keeps every figure alive in global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = Figure(figsize=(8, 4.8), dpi=160, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.12, 0.70, 0.76))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_MUTED)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, length=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    axes.set_xlabel("sources, from small to large", color=_MUTED)
    figure.text(0.09, 0.93, "Records so far, by limit t on a source", color=_INK, size=13, weight="bold")
    return figure, axes


def _colours(limits: int) -> list[str]:
    """One hue for the limits, light to dark as they rise, a single one dark, and the ink for no limit."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    blues: Any = colormaps["Blues"]
    return [*(to_hex(blues(shade)) for shade in reversed(np.linspace(0.9, 0.5, limits))), _INK]


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str]], colours: Sequence[str]) -> None:
    """Name each line at its end; ends that lie together are spread upwards from the lowest, then down from the top."""
    top = axes.get_ylim()[1]
    heights = [end / top for end, _ in ends]
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + _APART)
    excess = max(0.0, heights[-1] - 1)
    for height, (_, label), colour in zip(heights, ends, colours, strict=True):
        axes.text(1.015, height - excess, label, transform=axes.transAxes, color=colour, va="center", size=9)


def _short(count: int) -> str:
    """1234567 as 1.23M, 350000 as 350k."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}" if count < 1000 * size else f"{count // size}{letter}"
    return str(count)


def _tick(value: float, _place: int) -> str:
    return _short(int(value))
