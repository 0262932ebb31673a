"""Whether a sweep shows a difference: between encoder sets, against the spread over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.evaluation.report import TrialReport

Setting = tuple[tuple[str, ...], str]
"""Encoder set and connector: trials that share it differ in the seed alone."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentage points of the score with the image, over trials that finished.

    `between` is the best encoder set's mean minus the worst one's, seeds averaged, on the connector where it is
    largest. `seeds` is the largest best-minus-worst over seeds of one setting, None where no setting has two seeds.
    """

    between: float
    connector: str
    best: tuple[str, ...]
    worst: tuple[str, ...]
    seeds: float | None
    settings_with_seeds: int


def encoder_spread(reports: Iterable[TrialReport]) -> Spread:
    """Compare encoder sets under one connector at a time. Raises ValueError with fewer than two sets to compare."""
    by_setting: dict[Setting, list[float]] = {}
    for report in reports:
        if report.status == "finished" and report.score is not None:
            by_setting.setdefault((report.encoders, report.connector), []).append(report.score)
    means = {setting: fmean(scores) for setting, scores in by_setting.items()}
    ranges = [_ordered(means, connector) for connector in dict.fromkeys(connector for _, connector in means)]
    ranges = [ordered for ordered in ranges if len(ordered) > 1]
    if not ranges:
        raise ValueError("sweep: fewer than two encoder sets finished with the same connector; nothing to compare")
    best, *_, worst = max(ranges, key=lambda ordered: means[ordered[0]] - means[ordered[-1]])
    seeds = [max(scores) - min(scores) for scores in by_setting.values() if len(scores) > 1]
    return Spread(
        between=means[best] - means[worst],
        connector=best[1],
        best=best[0],
        worst=worst[0],
        seeds=max(seeds) if seeds else None,
        settings_with_seeds=len(seeds),
    )


def _ordered(means: dict[Setting, float], connector: str) -> Sequence[Setting]:
    score: Callable[[Setting], float] = means.__getitem__
    return sorted((setting for setting in means if setting[1] == connector), key=score, reverse=True)
