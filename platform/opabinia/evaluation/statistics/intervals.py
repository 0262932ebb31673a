"""The confidence interval of a score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.students import quantile
from opabinia.evaluation.statistics.terms import families
from opabinia.evaluation.statistics.variances import Sampled, sampled_score

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """Percent. With one seed it holds the variation over questions alone: it is that of one trained model."""

    score: float
    low: float
    high: float
    seeds: int
    images: int

    @property
    def half_width(self) -> float:
        """What to write after ±, percentage points; near 0 and 100 % the interval is not quite symmetric."""
        return (self.high - self.low) / 2

    @property
    def plus_minus(self) -> str:
        """ "71.2 ±3.1"."""
        return f"{self.score:.1f} ±{self.half_width:.1f}"


def score_interval(credits: Credits, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the mean over families, clustered by image, and over seeds where there are several.

    Raises ValueError where all questions of one term are about one image.
    """
    sampled = sampled_score(credits)
    low, high = _wilson(sampled, confidence)
    return Interval(100 * sampled.value, 100 * low, 100 * high, credits.seeds, sampled.plan.clusters)


def family_intervals(credits: Credits, confidence: float = CONFIDENCE) -> Mapping[str, Interval]:
    """The interval of each family's score, by family."""
    return {family: score_interval(credits.of_family(family), confidence) for family in families(credits.questions)}


def _wilson(sampled: Sampled, confidence: float) -> tuple[float, float]:
    """Wilson's interval at the effective number of questions, with Student's t (Dean & Pagano 2015, "Evaluating confidence
    interval methods for binomial proportions in clustered surveys").

    It stays within 0 and 1 and does not shrink to nothing where everything was right: then images count as the questions.
    """
    score, total = sampled.value, sampled.total
    effective = score * (1 - score) / total.value if total.value > 0 else float(sampled.plan.clusters)
    squared = quantile(total.degrees, (1 + confidence) / 2) ** 2 / effective if effective > 0 else float("inf")
    centre = (score + squared / 2) / (1 + squared)
    reach = sqrt(squared * (score * (1 - score) + squared / 4)) / (1 + squared)
    return max(0.0, centre - reach), min(1.0, centre + reach)
