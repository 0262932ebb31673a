"""How many images and seeds a comparison needs before it can see a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from opabinia.evaluation.statistics.clustering import Variance
from opabinia.evaluation.statistics.credits import Credits
from opabinia.evaluation.statistics.students import power as power_of
from opabinia.evaluation.statistics.variances import added, sampled_difference

LEVEL = 0.05
POWER = 0.8
_MOST_IMAGES = 10_000_000
_MOST_SEEDS = 1_000


@dataclass(frozen=True, slots=True)
class Noise:
    """What a paired difference varied by, in squared percentage points, so that other sizes can be planned from it.

    `per_image` over images falls as their number rises, `per_seed` (both configurations together) as the seeds of each do;
    None where neither had two seeds. `degrees_per_image` and `questions_per_image` are those of the benchmark.
    """

    per_image: float
    per_seed: float | None
    degrees_per_image: float
    questions_per_image: float


def measured_noise(one: Credits, baseline: Credits) -> Noise:
    """The noise of one comparison, measured. Raises ValueError as `paired_difference` does.

    The images' part still holds what differs between seeds on one question, so more seeds than were measured help a little
    more than planned.
    """
    sampled = sampled_difference(one, baseline)
    images = sampled.plan.clusters
    # As if both had the same spread: then the variance of their difference falls with the harmonic mean of the seeds.
    alike = 2 / (1 / one.seeds + 1 / baseline.seeds)
    return Noise(
        per_image=10_000 * sampled.images.value * images,
        per_seed=10_000 * sampled.seeds.value * alike if sampled.seeds else None,
        degrees_per_image=sampled.images.degrees / images,
        questions_per_image=len(one.questions) / images,
    )


def typical(noises: Sequence[Noise]) -> Noise:
    """The median of each part, of several comparisons on one benchmark. Raises ValueError where there are none."""
    if not noises:
        raise ValueError("noise: no comparison was measured; measure at least one")
    seeds = [noise.per_seed for noise in noises if noise.per_seed is not None]
    return Noise(
        per_image=median(noise.per_image for noise in noises),
        per_seed=median(seeds) if seeds else None,
        degrees_per_image=median(noise.degrees_per_image for noise in noises),
        questions_per_image=median(noise.questions_per_image for noise in noises),
    )


def power(noise: Noise, points: float, *, images: int, seeds: int) -> float:
    """The chance that the test of `paired_difference` sees a true difference of so many points at 5 %.

    `seeds` is that of each configuration. Where the noise over seeds was measured, one seed has no test: 0.
    """
    if noise.per_seed is not None and seeds < 2:
        return 0.0
    over_images = Variance(noise.per_image / images, max(1.0, noise.degrees_per_image * images))
    if noise.per_seed is None:
        return power_of(points, over_images, LEVEL)
    over_seeds = Variance(noise.per_seed / seeds, 2 * (seeds - 1))
    return power_of(points, added([over_images, over_seeds]), LEVEL)


def images_needed(noise: Noise, points: float, *, seeds: int) -> int | None:
    """The fewest images, with as many questions about each as measured, that give a power of 80 % with these seeds of each.

    None where no number of images does. Raises ValueError where the difference is not above 0.
    """
    _refuse_no_difference(points)
    return _fewest(lambda images: power(noise, points, images=images, seeds=seeds) >= POWER, _MOST_IMAGES)


def seeds_needed(noise: Noise, points: float, *, images: int) -> int | None:
    """The fewest seeds of each configuration that give a power of 80 % with these images; None where none do.

    Raises ValueError where the difference is not above 0.
    """
    _refuse_no_difference(points)
    return _fewest(lambda seeds: power(noise, points, images=images, seeds=seeds) >= POWER, _MOST_SEEDS)


def visible(noise: Noise, *, images: int, seeds: int) -> float | None:
    """The smallest difference, percentage points, that is seen with a power of 80 %; None where none is."""
    low, high = 0.0, 100.0
    if power(noise, high, images=images, seeds=seeds) < POWER:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if power(noise, middle, images=images, seeds=seeds) >= POWER else (middle, high)
    return high


def _refuse_no_difference(points: float) -> None:
    if points <= 0:
        raise ValueError(f"points: {points}; plan for a difference above 0")


def _fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The least number from 1 that is enough, where every larger one is too; None where `most` is not."""
    too_few = 0
    if not enough(most):
        return None
    while most - too_few > 1:
        middle = (most + too_few) // 2
        too_few, most = (too_few, middle) if enough(middle) else (middle, most)
    return most
