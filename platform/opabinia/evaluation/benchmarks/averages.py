"""The one place where scores of benchmarks are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.names import unknown


@dataclass(frozen=True, slots=True)
class Averages:
    """`raw` in each benchmark's own points, the rest in percent."""

    raw: Mapping[str, float]
    scaled: Mapping[str, float]
    categories: Mapping[str, float]
    average: float
    """Plain mean of the categories."""

    mean_of_benchmarks: float
    """Plain mean of the benchmarks; equal to `average` where all sixteen are there, four in each category."""


def averages(raw: Mapping[str, float]) -> Averages:
    """Scale scores to percent and average them as the study does (Tong et al. 2024, §2.1): benchmarks, then categories.

    Scores outside the sixteen columns (POPE, MME's cognition) are scaled but not averaged, unless there are no others. Raises
    ValueError for a benchmark that the catalogue does not know, and where there are no scores.
    """
    if not raw:
        raise ValueError("benchmark.files: no scores to average; name at least one file")
    for name in raw:
        if name not in BENCHMARKS:
            raise unknown("benchmark", name, BENCHMARKS)
    scaled = {name: raw[name] / BENCHMARKS[name].scale for name in BENCHMARKS if name in raw}
    counted = [name for name in scaled if BENCHMARKS[name].averaged] or list(scaled)
    by_category: dict[str, list[float]] = {}
    for name in counted:
        by_category.setdefault(BENCHMARKS[name].category, []).append(scaled[name])
    categories = {category: fmean(scores) for category, scores in by_category.items()}
    return Averages(
        raw=dict(raw),
        scaled=scaled,
        categories=categories,
        average=fmean(categories.values()),
        mean_of_benchmarks=fmean(scaled[name] for name in counted),
    )
