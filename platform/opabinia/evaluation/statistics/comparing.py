"""Every configuration against one baseline, on the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.intervals import CONFIDENCE
from opabinia.evaluation.statistics.students import quantile, two_sided_p
from opabinia.evaluation.statistics.terms import families
from opabinia.evaluation.statistics.variances import sampled_difference


@dataclass(frozen=True, slots=True)
class Difference:
    """Percentage points, with the 95 % interval and the two-sided p-value of this comparison alone.

    Without `over_seeds` it tells two trained models apart, not two configurations: neither was trained more than once.
    """

    points: float
    low: float
    high: float
    p: float
    over_seeds: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A configuration minus the baseline: the average, with its p-value corrected for all comparisons, and each family."""

    name: str
    average: Difference
    families: Mapping[str, Difference]
    corrected_p: float


def paired_difference(
    one: Credits, baseline: Credits, confidence: float = CONFIDENCE, *, same_models: bool = False
) -> Difference:
    """`one` minus `baseline`, paired by question, clustered by image, over seeds where there are several.

    A t-test at the clustered variance (Miller 2024, "Adding error bars to evals"). `same_models`: the same trained models answered
    in two ways, so that seeds are paired too. Raises ValueError where the two did not answer the same questions, or where all
    questions of one term are about one image.
    """
    sampled = sampled_difference(one, baseline, same_models=same_models)
    reach = quantile(sampled.total.degrees, (1 + confidence) / 2) * sqrt(sampled.total.value)
    return Difference(
        points=100 * sampled.value,
        low=max(-100.0, 100 * (sampled.value - reach)),
        high=min(100.0, 100 * (sampled.value + reach)),
        p=two_sided_p(sampled.value, sampled.total),
        over_seeds=sampled.seeds is not None,
    )


def compare_all(configurations: Mapping[str, Credits], baseline: str) -> list[Comparison]:
    """Compare each configuration with the baseline, in the order given.

    Raises ValueError where the baseline is not among them, is alone, or where two did not answer the same questions.
    """
    if baseline not in configurations:
        raise ValueError(
            f"baseline: {baseline!r} has no finished trial; name one of {', '.join(configurations) or 'none'}"
        )
    others = [name for name in configurations if name != baseline]
    if not others:
        raise ValueError("baseline: no other configuration finished; there is nothing to compare it with")
    against = configurations[baseline]
    averages = [paired_difference(configurations[name], against) for name in others]
    corrected = holm([difference.p for difference in averages])
    return [
        Comparison(name, average, _families(configurations[name], against), p)
        for name, average, p in zip(others, averages, corrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected p-values, in the order given, of Holm 1979: the chance of even one false difference among them all stays below 5 %
    where those below 0.05 are believed.

    Holm and not Benjamini-Hochberg, because one false winner costs weeks of training; and not Bonferroni, which it never loses to.
    It needs no independence, and comparisons with one baseline are not independent.
    """
    values = np.array(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    scaled = np.minimum(1.0, values[order] * np.arange(len(values), 0, -1))
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(scaled)
    return corrected.tolist()


def _families(one: Credits, baseline: Credits) -> dict[str, Difference]:
    return {
        family: paired_difference(one.of_family(family), baseline.of_family(family))
        for family in families(one.questions)
    }
