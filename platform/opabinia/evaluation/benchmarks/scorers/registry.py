"""The scorers by the names that the catalogue uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from opabinia.evaluation import matching
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.scorers import anls, containment, exact, relaxed, vqa
from opabinia.evaluation.questions import Question


@dataclass(frozen=True, slots=True)
class Scorer:
    """`version` is stored with every score; `credit` is from 0 to 1."""

    version: str
    credit: Callable[[Question, str], float]


def _choice(question: Question, answer: str) -> float:
    return float(matching.is_correct(question, answer))


SCORERS: Mapping[str, Scorer] = {
    "choice": Scorer(matching.SCORER, _choice),
    "exact": Scorer("exact-1", exact.credit),
    "relaxed": Scorer("relaxed-1", relaxed.credit),
    "anls": Scorer("anls-1", anls.credit),
    "vqa": Scorer("vqa-1", vqa.credit),
    "containment": Scorer("containment-1", containment.credit),
}


def scorer_of(question: Question) -> Scorer:
    """Questions of no published benchmark are matched with their choices."""
    if not question.benchmark:
        return SCORERS["choice"]
    benchmark = BENCHMARKS[question.benchmark]
    return SCORERS[benchmark.scorer if question.choices else benchmark.open_scorer or benchmark.scorer]
