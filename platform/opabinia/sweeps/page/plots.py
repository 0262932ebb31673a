"""The page's plots: what each family needs the image for, how losses fell, and what rates were used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opabinia.evaluation.report import TrialReport
from opabinia.sweeps.page.drawing import COLOURS, as_svg, colour_of, legend, new_figure, plain_axes
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.tracking.heat_cells import INK, MUTED
from opabinia.tracking.heat_map import FAMILY_TITLES
from opabinia.training.optimisation.learning_rate import peak_learning_rate, scaled_learning_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 12
_SMOOTHED_OVER = 0.02
"""Fraction of the steps over which a loss is averaged."""


def family_plot(trials: Sequence[ShownTrial]) -> str:
    """Of the best trials in each family: the score with the image, without it, and by guessing. Percent."""
    shown = [trial.report for trial in trials if trial.report.with_image is not None][:_MOST_BARS]
    families = [name for name in FAMILY_TITLES if any(_score(report, name) is not None for report in shown)]
    figure = new_figure(3.0 * len(families) + 2.2, 0.34 * len(shown) + 1.3)
    panels = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
    for axes, family in zip(panels, families, strict=True):
        _family_panel(axes, shown, family)
        plain_axes(axes, title=FAMILY_TITLES[family], x="%")
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(shown)), [report.trial_id for report in shown])
    panels[0].invert_yaxis()
    legend(panels[-1])
    return as_svg(figure)


def curve_plot(trials: Sequence[ShownTrial]) -> str:
    """Losses of all trials by step, averaged over neighbouring steps; the best in colour."""
    figure = new_figure(9.5, 3.6)
    axes = figure.subplots()
    for place, trial in reversed(list(enumerate(trials))):
        points = [(point["step"], point["loss"]) for point in trial.curve if "loss" in point]
        steps, losses = [step for step, _ in points], _smooth([loss for _, loss in points])
        label = trial.report.trial_id if place < len(COLOURS) else None
        axes.plot(steps, losses, color=colour_of(place), linewidth=1.4, label=label, zorder=100 - place)
    plain_axes(axes, x="step", y="training loss")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7, labelcolor=MUTED)
    handles, labels = axes.get_legend_handles_labels()
    in_order = sorted(zip(handles, labels, strict=True), key=lambda pair: _place(trials, pair[1]))
    legend(axes, [handle for handle, _ in in_order])
    return as_svg(figure)


def rate_plot(trials: Sequence[ShownTrial]) -> str:
    """Peak learning rates by batch, with the rule lr·√(batch/base_batch) through the rate that was used."""
    from matplotlib.ticker import LogLocator

    used = _rates(trials)
    batches = [batch for points in used.values() for batch, _ in points]
    ends = (max(1, min(batches) // 4), max(batches) * 4)
    figure = new_figure(7.5, 3.4)
    axes = figure.subplots()
    for place, (name, points) in enumerate(used.items()):
        axes.scatter(*zip(*points, strict=True), color=colour_of(place), s=34, label=name, zorder=3 + place)
        line = [scaled_learning_rate(points[0][1], end, points[0][0]) for end in ends]
        axes.plot(ends, line, color=colour_of(place), linewidth=1, linestyle=(0, (4, 3)))
    plain_axes(axes, x="batch, over all workers", y="peak learning rate")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:.0e}")
    axes.yaxis.set_minor_formatter("")
    legend(axes)
    return as_svg(figure)


def _family_panel(axes: Axes, reports: Sequence[TrialReport], family: str) -> None:
    places = range(len(reports))
    axes.barh(
        places, [_score(report, family) or 0.0 for report in reports], color=COLOURS[5], height=0.66, label="with image"
    )
    blind = [report.blind.families.get(family) if report.blind else None for report in reports]
    axes.scatter(
        [score for score in blind if score is not None],
        [place for place, score in zip(places, blind, strict=True) if score is not None],
        marker="D",
        s=20,
        color=COLOURS[1],
        label="without",
        zorder=3,
    )
    guess = next((report.random.families[family] for report in reports if report.random), None)
    if guess is not None:
        axes.axvline(guess, color=INK, linestyle=":", linewidth=1.2, label="by guessing")
    axes.set_xlim(0, 100)


def _score(report: TrialReport, family: str) -> float | None:
    return report.with_image.families.get(family) if report.with_image else None


def _rates(trials: Sequence[ShownTrial]) -> dict[str, list[tuple[int, float]]]:
    """Stage and parts -> each (batch, peak rate) that was used; parts that always had the same are named together."""
    by_part: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for stage in (stage for trial in trials for stage in trial.run.stages):
        for part in stage.trains:
            points = by_part.setdefault((stage.name, part), [])
            point = stage.batch, peak_learning_rate(stage, part)
            points += [] if point in points else [point]
    together: dict[tuple[str, tuple[tuple[int, float], ...]], list[str]] = {}
    for (stage_name, part), points in by_part.items():
        together.setdefault((stage_name, tuple(points)), []).append(part)
    return {f"{stage_name}: {', '.join(parts)}": list(points) for (stage_name, points), parts in together.items()}


def _place(trials: Sequence[ShownTrial], name: str) -> int:
    return next(place for place, trial in enumerate(trials) if trial.report.trial_id == name)


def _smooth(values: Sequence[float]) -> list[float]:
    """Each the mean of itself and its neighbours on both sides."""
    reach = max(1, round(len(values) * _SMOOTHED_OVER / 2))
    around = [values[max(0, place - reach) : place + reach + 1] for place in range(len(values))]
    return [sum(some) / len(some) for some in around]
