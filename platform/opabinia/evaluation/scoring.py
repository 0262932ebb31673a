"""From the credit of every answer to percent per family, by the formulas of the papers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from opabinia.evaluation.benchmarks.averages import averages
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.composition import Marked, raw_scores, source_mean
from opabinia.evaluation.questions import VISION_CENTRIC_TYPES, VISION_FAMILIES, Question

EVALUATOR_VERSION = 1
"""Version of the formulas in this module; stored with every score. Raise it when a formula changes."""


@dataclass(frozen=True, slots=True)
class FamilyScores:
    """Percent. `tasks` is keyed "general/colour"; `parts` are the terms of a formula, "vision_centric/2D/COCO".

    Of published benchmarks, the families are the categories, the tasks the benchmarks, scaled to percent ("general/mme_perception"),
    and the parts what these are made of ("general/mme_perception/count", "general/mme_perception/raw").
    """

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


def family_scores(questions: Sequence[Question], credits: Sequence[float]) -> FamilyScores:
    """Score answers by the credit of each, from 0 (wrong) to 1. Raises ValueError where the two differ in length or are empty."""
    if len(questions) != len(credits):
        raise ValueError(f"{len(credits)} marks for {len(questions)} questions; give one mark a question")
    return _compose([(question, float(credit)) for question, credit in zip(questions, credits, strict=True)])


def random_guess(questions: Sequence[Question]) -> FamilyScores:
    """What guessing is expected to score, by the same formulas; an open question cannot be guessed."""
    return _compose([(question, chance(question)) for question in questions])


def chance(question: Question) -> float:
    """The credit that guessing evenly is expected to earn; an open question cannot be guessed."""
    return 1 / len(question.choices) if question.choices else 0.0


def _compose(marked: Sequence[Marked]) -> FamilyScores:
    if not marked:
        raise ValueError("no questions to score; ask at least one")
    if marked[0][0].benchmark:
        return _published(marked)
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


def _published(marked: Sequence[Marked]) -> FamilyScores:
    """Categories and their average as in the study (`averages`); only the benchmarks that it averages are in the categories."""
    raw = raw_scores(marked)
    averaged = averages({name: score.points for name, score in raw.items()})
    parts: dict[str, float] = {}
    for name, score in raw.items():
        place = f"{BENCHMARKS[name].category}/{name}"
        parts.update({f"{place}/{part}": percent for part, percent in score.parts.items()})
        parts[f"{place}/raw"] = score.points
    halves = [averaged.scaled[name] for name in ("cv_bench_2d", "cv_bench_3d") if name in averaged.scaled]
    if len(halves) == 2:
        parts["vision_centric/cv_bench"] = fmean(halves)
    tasks = {f"{BENCHMARKS[name].category}/{name}": percent for name, percent in averaged.scaled.items()}
    asked = {family: 0 for family in averaged.categories}
    for name, score in raw.items():
        if BENCHMARKS[name].category in asked:
            asked[BENCHMARKS[name].category] += score.questions
    return FamilyScores(averaged.categories, tasks, parts, asked)


def _cv_bench(marked: Sequence[Marked], parts: dict[str, float]) -> float:
    """CV-Bench's own formula: mean over sources in 2D and in 3D, then the mean of the two; enters its terms in parts.

    Where a subset holds only 2D or only 3D, that one is the score.
    """
    by_type = _group(marked, lambda question: question.type)
    accuracies: list[float] = []
    for kind in VISION_CENTRIC_TYPES:
        if kind in by_type:
            score, sources = source_mean(by_type[kind])
            parts.update({f"vision_centric/{kind}/{source}": percent for source, percent in sources.items()})
            parts[f"vision_centric/{kind}"] = score
            accuracies.append(score)
    return fmean(accuracies)


def _group(marked: Iterable[Marked], key: Callable[[Question], str]) -> dict[str, list[Marked]]:
    groups: dict[str, list[Marked]] = {}
    for question, credit in marked:
        groups.setdefault(key(question), []).append((question, credit))
    return groups


def _percent(marked: Sequence[Marked]) -> float:
    return 100 * fmean(credit for _, credit in marked)
