"""One function for averages: from right and wrong answers to percent per family, by the formulas of the papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.evaluation.questions import VISION_CENTRIC_TYPES, VISION_FAMILIES, Question

EVALUATOR_VERSION = 1
"""Version of the formulas in this module; stored with every score. Raise it when a formula changes."""

Marked = tuple[Question, float]
"""A question with the credit it earned: 1 right, 0 wrong, or the chance of guessing it."""


@dataclass(frozen=True, slots=True)
class FamilyScores:
    """Percent. `tasks` is keyed "general/colour"; `parts` are the terms of a formula, "vision_centric/2D/COCO"."""

    families: Mapping[str, float]
    tasks: Mapping[str, float]
    parts: Mapping[str, float]
    questions: Mapping[str, int]

    @property
    def average(self) -> float:
        """Plain mean of the families, whatever their sizes."""
        return fmean(self.families.values())

    def vision(self) -> float | None:
        """Plain mean of the families that need the image, or None where none of them was asked."""
        scores = [self.families[family] for family in VISION_FAMILIES if family in self.families]
        return fmean(scores) if scores else None


def family_scores(questions: Sequence[Question], correct: Sequence[bool]) -> FamilyScores:
    """Score answers. Raises ValueError where the two sequences differ in length or are empty."""
    if len(questions) != len(correct):
        raise ValueError(f"{len(correct)} marks for {len(questions)} questions; give one mark a question")
    return _compose([(question, float(mark)) for question, mark in zip(questions, correct, strict=True)])


def random_guess(questions: Sequence[Question]) -> FamilyScores:
    """What guessing is expected to score, by the same formulas; an open question cannot be guessed."""
    return _compose([(question, 1 / len(question.choices) if question.choices else 0.0) for question in questions])


def _compose(marked: Sequence[Marked]) -> FamilyScores:
    if not marked:
        raise ValueError("no questions to score; ask at least one")
    families: dict[str, float] = {}
    tasks: dict[str, float] = {}
    parts: dict[str, float] = {}
    by_family = _group(marked, lambda question: question.family)
    for family, members in by_family.items():
        by_task = {task: _percent(of) for task, of in _group(members, lambda question: question.task).items()}
        tasks.update({f"{family}/{task}": score for task, score in by_task.items()})
        if family == "vision_centric":
            families[family] = _cv_bench(members, parts)
        else:
            families[family] = fmean(by_task.values())
    return FamilyScores(families, tasks, parts, {family: len(members) for family, members in by_family.items()})


def _cv_bench(marked: Sequence[Marked], parts: dict[str, float]) -> float:
    """CV-Bench's own formula: mean over sources in 2D and in 3D, then the mean of the two; enters its terms in parts.

    Questions are pooled over tasks in a source. Where a subset holds only 2D or only 3D, that one is the score.
    """
    by_type = _group(marked, lambda question: question.type)
    accuracies: list[float] = []
    for kind in VISION_CENTRIC_TYPES:
        if kind in by_type:
            by_source = _group(by_type[kind], lambda question: question.source)
            scores = {source: _percent(of) for source, of in by_source.items()}
            parts.update({f"vision_centric/{kind}/{source}": score for source, score in scores.items()})
            parts[f"vision_centric/{kind}"] = fmean(scores.values())
            accuracies.append(parts[f"vision_centric/{kind}"])
    return fmean(accuracies)


def _group(marked: Iterable[Marked], key: Callable[[Question], str]) -> dict[str, list[Marked]]:
    groups: dict[str, list[Marked]] = {}
    for question, credit in marked:
        groups.setdefault(key(question), []).append((question, credit))
    return groups


def _percent(marked: Sequence[Marked]) -> float:
    return 100 * fmean(credit for _, credit in marked)
