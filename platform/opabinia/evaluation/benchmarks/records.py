"""One published benchmark's scores, with everything that they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS

if TYPE_CHECKING:
    from opabinia.evaluation.evaluate import Evaluation, Judged
    from opabinia.evaluation.scoring import FamilyScores


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRecord:
    """`raw` and `raw_blind` are in the benchmark's own points, `scaled`, `blind` and `random` in percent."""

    benchmark: str
    category: str
    questions: int
    raw: float
    raw_blind: float
    scaled: float
    blind: float
    random: float
    prompt_kind: str
    scorer: str
    evaluator_version: int


def benchmark_records(
    seen: Evaluation, blind: Evaluation, guess: FamilyScores, prompt_kind: str | None
) -> tuple[BenchmarkRecord, ...]:
    """Of every published benchmark that was asked, in the catalogue's order; none where the families of a folder were."""
    answers: dict[str, list[Judged]] = {}
    for mark in seen.answers:
        answers.setdefault(mark.question.benchmark, []).append(mark)
    return tuple(
        _record(name, answers[name], seen, blind, guess, prompt_kind) for name in BENCHMARKS if name in answers
    )


def _record(
    name: str,
    answers: Sequence[Judged],
    seen: Evaluation,
    blind: Evaluation,
    guess: FamilyScores,
    prompt_kind: str | None,
) -> BenchmarkRecord:
    from opabinia.evaluation.benchmarks.scorers.registry import scorer_of
    from opabinia.evaluation.evaluate import kind_of

    place = f"{BENCHMARKS[name].category}/{name}"
    return BenchmarkRecord(
        benchmark=name,
        category=BENCHMARKS[name].category,
        questions=len(answers),
        raw=seen.scores.parts[f"{place}/raw"],
        raw_blind=blind.scores.parts[f"{place}/raw"],
        scaled=seen.scores.tasks[place],
        blind=blind.scores.tasks[place],
        random=guess.tasks[place],
        prompt_kind="+".join(sorted({prompt_kind or kind_of(mark.question) for mark in answers})),
        scorer="+".join(sorted({scorer_of(mark.question).version for mark in answers})),
        evaluator_version=seen.evaluator_version,
    )
