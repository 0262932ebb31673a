"""The comparison of a sweep's configurations, to read and to compute with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from opabinia.evaluation.statistics.comparing import Comparison, Difference
from opabinia.evaluation.statistics.sample_size import LEVEL, images_needed, seeds_needed, visible
from opabinia.evaluation.statistics.sweep_comparison import SweepComparison

_FAMILY_TITLES = {
    "general": "general", "knowledge": "knowledge", "ocr_chart": "OCR & chart", "vision_centric": "vision-centric",
}  # fmt: skip
_PLANNED_POINTS = (1.0, 2.0, 5.0)
_PLANNED_SIZES = (1, 4, 16)
"""Multiples of the images that the sweep was scored on."""


def comparison_json(compared: SweepComparison) -> str:
    """Every number of the page and more, as one JSON object."""
    return json.dumps(asdict(compared), indent=1)


def comparison_markdown(compared: SweepComparison, name: str) -> str:
    """A page: the table of differences, how to read it, and what it would take to see smaller ones."""
    lines = [
        f"# {name}: every configuration against {compared.baseline}",
        "",
        *_table(compared),
        "",
        *_reading(compared),
    ]
    return "\n".join([*lines, "", *_planning(compared)]) + "\n"


def _table(compared: SweepComparison) -> Iterator[str]:
    families = list(compared.comparisons[0].families)
    titles = [_FAMILY_TITLES.get(family, family) for family in families]
    heads = ["configuration", "seeds", "score", "difference", "95 % interval", "p", "p, Holm", "shown", *titles]
    yield f"| {' | '.join(heads)} |"
    yield f"| --- {'| ---: ' * 6}| --- {'| ---: ' * len(titles)}|"
    by_name = {comparison.name: comparison for comparison in compared.comparisons}
    for name, score in compared.scores.items():
        head = [name.replace("|", r"\|"), str(score.seeds), score.plus_minus]
        comparison = by_name.get(name)
        tail = _cells(comparison, families) if comparison else ["baseline", *[""] * (len(heads) - len(head) - 1)]
        yield f"| {' | '.join([*head, *tail])} |"


def _cells(comparison: Comparison, families: list[str]) -> list[str]:
    average = comparison.average
    return [
        f"{average.points:+.1f}",
        f"{average.low:+.1f} to {average.high:+.1f}",
        _p(average.p),
        _p(comparison.corrected_p),
        _verdict(comparison),
        *(_short(comparison.families[family]) for family in families),
    ]


def _verdict(comparison: Comparison) -> str:
    if comparison.corrected_p >= LEVEL:
        return "not shown"
    return "better" if comparison.average.points > 0 else "worse"


def _short(difference: Difference) -> str:
    return f"{difference.points:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _reading(compared: SweepComparison) -> Iterator[str]:
    yield (
        f"- Score: mean of the families, percent, with its 95 % interval over {compared.images:,} images"
        f" ({compared.questions:,} questions) and over seeds where there are several."
    )
    yield "- Difference: points, with its 95 % interval; paired by question, clustered by image, over seeds as above."
    yield (
        "- Shown: whether it holds after Holm's correction for all comparisons in the table (5 %); not shown is not the same as not"
        " there. The intervals are each for itself, uncorrected; so are those of the families, which have no test."
    )
    single = [name for name, score in compared.scores.items() if score.seeds == 1]
    if len(single) == len(compared.scores):
        yield (
            "- **One seed each: these are differences between trained models.** Training again may change them by more than"
            " the intervals say; only several seeds can tell one configuration from another."
        )
    elif single:
        yield f"- One seed only, so that the interval of the score holds no variation over seeds: {', '.join(single)}."
    if compared.left_out:
        left_out = ", ".join(f"{trial} ({status})" for trial, status in compared.left_out.items())
        yield (
            f"- Not counted, as they did not finish: {left_out}. Where a scheduler stopped some seeds of a configuration, the"
            " others are its luckier ones, and its score is too high."
        )


def _planning(compared: SweepComparison) -> Iterator[str]:
    seeds = min(score.seeds for score in compared.scores.values())
    yield "## What smaller differences would take"
    yield ""
    yield _visible(compared, seeds)
    yield ""
    yield from _images_and_seeds(compared) if compared.noise.per_seed is not None else _images(compared)


def _visible(compared: SweepComparison, seeds: int) -> str:
    smallest = visible(compared.noise, images=compared.images, seeds=seeds)
    seen = "No difference" if smallest is None else f"A true difference of {smallest:.1f} points"
    many = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return (
        f"{seen} is seen with a power of 80 % at 5 % by {compared.images:,} images and {many} of each, in one comparison with the"
        " noise that was typical here. What others take, with as many questions about each image:"
    )


def _images_and_seeds(compared: SweepComparison) -> Iterator[str]:
    yield f"| difference, points | {' | '.join(f'seeds of each, {n * compared.images:,} images' for n in _PLANNED_SIZES)} |"
    yield f"| ---: {'| ---: ' * len(_PLANNED_SIZES)}|"
    for points in _PLANNED_POINTS:
        seeds = [seeds_needed(compared.noise, points, images=n * compared.images) for n in _PLANNED_SIZES]
        yield f"| {points:g} | {' | '.join('too few images' if n is None else str(n) for n in seeds)} |"


def _images(compared: SweepComparison) -> Iterator[str]:
    yield "| difference of two trained models, points | images | questions |"
    yield "| ---: | ---: | ---: |"
    for points in _PLANNED_POINTS:
        images = images_needed(compared.noise, points, seeds=1)
        if images is not None:
            yield f"| {points:g} | {images:,} | {round(images * compared.noise.questions_per_image):,} |"
