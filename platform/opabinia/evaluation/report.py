"""What one trial scored: with the image, without it, and against guessing; and which trial is best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from opabinia.evaluation.benchmarks.records import BenchmarkRecord
from opabinia.evaluation.scoring import FamilyScores

Status = Literal["finished", "stopped", "failed"]
"""Ran to the end; stopped early by the scheduler, scored as it was; or broke, and has no scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReport:
    """One trial. `steps` is optimiser steps done over all stages, `seconds` its wall time; scores are percent."""

    trial_id: str
    encoders: tuple[str, ...]
    connector: str
    seed: int
    status: Status
    steps: int
    seconds: float
    with_image: FamilyScores | None
    blind: FamilyScores | None
    random: FamilyScores | None
    prompt_kind: str
    scorer: str
    evaluator_version: int
    benchmarks: tuple[BenchmarkRecord, ...] = ()
    """Each published benchmark by itself; none where the families of a folder were asked."""

    @property
    def score(self) -> float | None:
        """Mean of the families with the image: what trials are ranked by."""
        return self.with_image.average if self.with_image else None


def vision_gain(report: TrialReport) -> float | None:
    """Percentage points that the image adds, averaged over the families that need it; None where not measured."""
    if report.with_image is None or report.blind is None:
        return None
    seen, unseen = report.with_image.vision(), report.blind.vision()
    return None if seen is None or unseen is None else seen - unseen


def rank(reports: Iterable[TrialReport]) -> list[TrialReport]:
    """Best first, by the score with the image, then by the gain; trials without a score come last."""
    return sorted(reports, key=_merit)


def champion(reports: Iterable[TrialReport]) -> TrialReport | None:
    """The best trial that ran to its end, or None where none did."""
    finished = [report for report in rank(reports) if report.status == "finished" and report.score is not None]
    return finished[0] if finished else None


def score_metrics(report: TrialReport) -> dict[str, float]:
    """Every number worth plotting, by name: "with_image/general", "blind/average", "gain/vision", …"""
    measured = {"with_image": report.with_image, "blind": report.blind, "random": report.random}
    metrics: dict[str, float] = {}
    for mode, scores in measured.items():
        if scores is not None:
            named = {**scores.families, **scores.tasks, **scores.parts, "average": scores.average}
            metrics.update({f"{mode}/{name}": value for name, value in named.items()})
    if report.with_image and report.blind:
        blind = report.blind.families
        metrics.update({f"gain/{f}": s - blind[f] for f, s in report.with_image.families.items() if f in blind})
    gain = vision_gain(report)
    return metrics if gain is None else {**metrics, "gain/vision": gain}


def to_json(report: TrialReport) -> str:
    """One JSON object, readable by from_json."""
    return _adapter().dump_json(report, indent=2).decode()


def from_json(text: str) -> TrialReport:
    """Read what to_json wrote. Raises ValueError naming the first field that is wrong."""
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ValueError(f"trial report: {place}: {first['msg']}; score the trial again") from None


def comparable(reports: Sequence[TrialReport]) -> bool:
    """Whether every score was made the same way: one prompt kind, one scorer, one version of the formulas."""
    return len({(r.prompt_kind, r.scorer, r.evaluator_version) for r in reports if r.score is not None}) <= 1


def _merit(report: TrialReport) -> tuple[float, float, str]:
    gain = vision_gain(report)
    score = report.score
    worst = float("inf")
    return (worst if score is None else -score, worst if gain is None else -gain, report.trial_id)


@cache
def _adapter() -> TypeAdapter[TrialReport]:
    return TypeAdapter(TrialReport)
