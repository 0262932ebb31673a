"""The map of benchmarks as a picture: near each other what runs find hard alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.evaluation.statistics.correlation import BenchmarkMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#1b1f24"
_MUTED = "#56616b"
_GRID = "#cdd3d9"
_COLOURS = ("#1d4ed8", "#b45309", "#15803d", "#a21caf", "#475569")
_MARKERS = ("o", "s", "^", "D")
_LINE = 0.055
"""Height of a line of text, in units of the axes."""
_NAME = 0.3
"""Width of a name."""


def draw_map(mapped: BenchmarkMap, path: Path, *, title: str) -> None:
    """Write a PNG: correlations with the two components; the colour is the category, the shape the cluster."""
    # A figure of its own: pyplot keeps every figure alive in global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 7.2), dpi=140, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.15, 0.88, 0.74))
    _points(axes, mapped)
    _dress(axes, mapped)
    figure.text(0.09, 0.975, title, size=14, weight="bold", color=_INK)
    figure.text(0.09, 0.03, _caption(mapped), size=9, color=_MUTED, linespacing=1.5)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.25)


def _points(axes: Axes, mapped: BenchmarkMap) -> None:
    kinds = list(dict.fromkeys(mapped.categories))
    for place, category, cluster in zip(mapped.places.tolist(), mapped.categories, mapped.clusters, strict=True):
        colour = _COLOURS[kinds.index(category) % len(_COLOURS)]
        axes.scatter(*place, s=64, color=colour, marker=_MARKERS[cluster % len(_MARKERS)], zorder=3)
    _write_names(axes, mapped, kinds)


def _write_names(axes: Axes, mapped: BenchmarkMap, kinds: list[str]) -> None:
    """From below upwards, each name beside its point and above the one before where they would overlap."""
    written: list[tuple[float, float]] = []
    for number in sorted(range(len(mapped.benchmarks)), key=lambda n: float(mapped.places[n, 1])):
        x, y = (float(value) for value in mapped.places[number])
        level = y
        while any(abs(level - other) < _LINE and abs(x - beside) < _NAME for beside, other in written):
            level += _LINE / 4
        written.append((x, level))
        colour = _COLOURS[kinds.index(mapped.categories[number]) % len(_COLOURS)]
        name = mapped.benchmarks[number].split("/", 1)[-1]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate(
            name, (x, y), (x + 0.02, level), size=9, color=colour, va="center", arrowprops=line if level > y else None
        )


def _dress(axes: Axes, mapped: BenchmarkMap) -> None:
    axes.axhline(0, color=_GRID, linewidth=1, zorder=1)
    axes.axvline(0, color=_GRID, linewidth=1, zorder=1)
    first, second = (100 * float(part) for part in mapped.explained)
    axes.set_xlabel(f"correlation with component 1 ({first:.0f} % of the variance)", size=10, color=_INK)
    axes.set_ylabel(f"correlation with component 2 ({second:.0f} %)", size=10, color=_INK)
    axes.margins(x=0.16, y=0.1)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(_GRID)
    axes.tick_params(colors=_MUTED, labelsize=9)
    kinds = list(dict.fromkeys(mapped.categories))
    _key(axes, 1.04, [("o", _COLOURS[n % len(_COLOURS)], kind.replace("_", " ")) for n, kind in enumerate(kinds)])
    clusters = range(max(mapped.clusters) + 1)
    _key(axes, 1.0, [(_MARKERS[n % len(_MARKERS)], _MUTED, f"cluster {n + 1}") for n in clusters])


def _key(axes: Axes, height: float, entries: list[tuple[str, str, str]]) -> None:
    """One line above the axes of markers with their colours and meanings."""
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="", marker=marker, color=colour) for marker, colour, _ in entries]
    texts = [text for _, _, text in entries]
    where = (-0.02, height)
    # axes.legend would replace the line written before.
    axes.add_artist(
        Legend(
            axes, handles, texts, loc="lower left", bbox_to_anchor=where, ncols=len(texts), fontsize=9, frameon=False
        )
    )


def _caption(mapped: BenchmarkMap) -> str:
    return (
        f"{len(mapped.benchmarks)} benchmarks over {mapped.runs} runs. Clusters agree with the categories by"
        f" {mapped.agreement:.2f} (adjusted Rand index: 1 the same, 0 as by chance).\nFew runs make correlations unsure: 95 % of those"
        f" between unrelated benchmarks lie within ±{_by_chance(mapped.runs):.2f}."
    )


def _by_chance(runs: int) -> float:
    """The correlation that 95 % of unrelated pairs stay below, from the t-test of Pearson's r."""
    from opabinia.evaluation.statistics.students import quantile

    t = quantile(runs - 2, 0.975)
    return t / (t**2 + runs - 2) ** 0.5
