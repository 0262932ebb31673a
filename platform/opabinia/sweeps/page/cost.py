"""What a score costs: device time against the score, and which trials none beats for less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opabinia.evaluation.report import Status
from opabinia.sweeps.page.drawing import COLOURS, as_svg, legend, new_figure, plain_axes
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.tracking.heat_cells import INK, MUTED

_MARKS: Mapping[Status, tuple[str, str]] = {
    "finished": ("o", "ran to its end"),
    "stopped": ("x", "stopped early"),
    "failed": ("s", "failed"),
}


class Point(NamedTuple):
    """A trial: device minutes, percent, its rank from 1, and what became of it."""

    minutes: float
    score: float
    rank: int
    status: Status


def cost_plot(trials: Sequence[ShownTrial]) -> str:
    """trials: best first. The line joins those that none beats for less."""
    points = [
        Point(trial.device_minutes, trial.report.score, rank, trial.report.status)
        for rank, trial in enumerate(trials, start=1)
        if trial.report.score is not None
    ]
    figure = new_figure(7.5, 4.0)
    axes = figure.subplots()
    for status, (mark, name) in _MARKS.items():
        some = [point for point in points if point.status == status]
        if some:
            minutes, scores = [point.minutes for point in some], [point.score for point in some]
            axes.scatter(minutes, scores, marker=mark, s=34, color=MUTED, label=name, zorder=3)
    best = pareto_front(points)
    minutes, scores = [point.minutes for point in best], [point.score for point in best]
    axes.step(minutes, scores, where="post", color=COLOURS[0], label="best for its cost")
    for point in best:
        axes.annotate(
            f"#{point.rank}", (point.minutes, point.score), (5, 5), textcoords="offset points", fontsize=8, color=INK
        )
    plain_axes(axes, x="device time, minutes", y="score with the image, %")
    axes.margins(x=0.12, y=0.12)
    legend(axes)
    return as_svg(figure)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Those than which no other costs no more and scores no less; cheapest first. Of several alike, the best ranked."""
    front = list[Point]()
    for point in sorted(points, key=lambda point: (point.minutes, -point.score, point.rank)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front
