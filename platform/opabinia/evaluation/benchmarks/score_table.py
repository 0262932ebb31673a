"""Scores of published benchmarks as a table for a terminal of 120 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.records import BenchmarkRecord
from opabinia.evaluation.report import TrialReport
from opabinia.evaluation.scoring import FamilyScores
from opabinia.evaluation.table import WIDTH

_HEADINGS = ("benchmark", "category", "asked", "raw", "score", "blind", "random", "gain", "prompt", "scorer")
_LEFT_ALIGNED = frozenset({"benchmark", "category", "prompt", "scorer"})
_LEGEND = (
    "asked: questions; raw: the benchmark's own points; score, blind, random: percent with the image, without it, by",
    "guessing; gain: score − blind; categories: mean of their benchmarks; average: mean of the categories",
)
_EXTRA_LEGEND = "° not one of the sixteen benchmarks that are averaged"


def render_benchmarks(report: TrialReport) -> str:
    """Benchmarks, categories and the average. Raises ValueError for a report without published benchmarks."""
    if not report.benchmarks or not (report.with_image and report.blind and report.random):
        raise ValueError("benchmark.files: no published benchmark was scored; name at least one file")
    scores = (report.with_image, report.blind, report.random)
    rows = [_HEADINGS, *map(_benchmark, report.benchmarks)]
    rows += [_mean(category, [of.families[category] for of in scores]) for category in report.with_image.families]
    rows.append(_mean("average", [of.average for of in scores]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    lines.insert(2 + len(report.benchmarks), lines[1])
    parts = [line for record in report.benchmarks for line in _parts(record, report.with_image)]
    extra = [] if all(BENCHMARKS[record.benchmark].averaged for record in report.benchmarks) else [_EXTRA_LEGEND]
    return "\n".join([*lines, "", *parts, "", *_LEGEND, *extra, f"evaluator version {report.evaluator_version}"])


def _benchmark(record: BenchmarkRecord) -> tuple[str, ...]:
    benchmark = BENCHMARKS[record.benchmark]
    return (
        benchmark.label if benchmark.averaged else f"{benchmark.label}°",
        record.category,
        str(record.questions),
        f"{record.raw:.1f}",
        *_numbers((record.scaled, record.blind, record.random)),
        record.prompt_kind,
        record.scorer,
    )


def _parts(record: BenchmarkRecord, scores: FamilyScores) -> list[str]:
    """Tasks, subtasks and sources with the image, as far as the benchmark has any."""
    place = f"{record.category}/{record.benchmark}/"
    parts = {part.removeprefix(place): score for part, score in scores.parts.items() if part.startswith(place)}
    named = [f"{part} {score:.1f}" for part, score in parts.items() if part != "raw"]
    text = f"{BENCHMARKS[record.benchmark].label}: {', '.join(named)}"
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ") if named else []


def _mean(name: str, scores: Sequence[float]) -> tuple[str, ...]:
    return (name, "", "", "", *_numbers(scores), "", "")


def _numbers(scores: Sequence[float]) -> tuple[str, ...]:
    """With the image, blind, random, and what the image adds."""
    return (*(f"{score:.1f}" for score in scores), f"{scores[0] - scores[1]:+.1f}")


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        text.ljust(width) if heading in _LEFT_ALIGNED else text.rjust(width)
        for text, width, heading in zip(row, widths, _HEADINGS, strict=True)
    )
    return "  ".join(cells).rstrip()
