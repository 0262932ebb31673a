"""Student's t: quantiles, p-values and power."""

from __future__ import annotations

from math import sqrt

# Not scipy.stats, which takes most of a second to import.
from scipy.special import stdtr, stdtrit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from opabinia.evaluation.statistics.clustering import Variance


def quantile(degrees: float, probability: float) -> float:
    """The t below which `probability` lies."""
    return float(stdtrit(degrees, probability))


def two_sided_p(effect: float, variance: Variance) -> float:
    """The chance of an effect this far from 0 or farther where there is none; 1 where nothing varies and nothing differs."""
    if variance.value == 0:
        return float(effect == 0)
    return float(2 * stdtr(variance.degrees, -abs(effect) / sqrt(variance.value)))


def power(effect: float, variance: Variance, level: float) -> float:
    """The chance that a two-sided test at this level sees a true effect, by the noncentral t on the effect's side."""
    if variance.value == 0:
        return float(effect != 0)
    from scipy.stats import nct  # pyright: ignore

    shift = abs(effect) / sqrt(variance.value)
    return float(nct.sf(-quantile(variance.degrees, level / 2), variance.degrees, shift))
