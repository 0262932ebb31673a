"""From the credit of every question to a benchmark's score in its own points, by the benchmark's rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from statistics import fmean

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.entry import Rule
from opabinia.evaluation.questions import Question

Marked = tuple[Question, float]
"""A question with the credit it earned, from 0 to 1, or the chance of guessing it."""


@dataclass(frozen=True, slots=True)
class RawScore:
    """`points` in the benchmark's own scale; `parts`: its subtasks, sources and tasks, percent."""

    points: float
    parts: Mapping[str, float]
    questions: int


def raw_scores(marked: Sequence[Marked]) -> dict[str, RawScore]:
    """Score every benchmark among the questions. A guess is scored like an answer: chances of a group multiply."""
    return {name: _raw_score(name, members) for name, members in _group(marked, lambda asked: asked.benchmark).items()}


def source_mean(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    """CV-Bench's formula for 2D and for 3D: the mean over sources, and the percentage of each source.

    Questions are pooled over tasks in a source (Tong et al. 2024, §3.2). Percent.
    """
    sources = {source: 100 * _mean(of) for source, of in _group(marked, lambda asked: asked.source).items()}
    return fmean(sources.values()), sources


def _raw_score(name: str, marked: Sequence[Marked]) -> RawScore:
    benchmark = BENCHMARKS[name]
    fraction, parts = _RULES[benchmark.rule](marked)
    tasks = _group(marked, lambda asked: asked.task)
    by_task = {task: 100 * _mean(of) for task, of in tasks.items()} if len(tasks) > 1 else {}
    return RawScore(fraction * benchmark.full, {**by_task, **parts}, len(marked))


def _by_questions(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    return _mean(marked), {}


def _by_groups(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    return _whole_groups(marked), {"questions": 100 * _mean(marked)}


def _by_subtasks(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    """MME: accuracy and "accuracy+" (both questions of a picture right), 100 points each in every subtask."""
    subtasks = {
        task: (_mean(members) + _whole_groups(members)) / 2
        for task, members in _group(marked, lambda asked: asked.task).items()
    }
    return fmean(subtasks.values()), {task: 100 * fraction for task, fraction in subtasks.items()}


def _by_sources(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    percent, sources = source_mean(marked)
    return percent / 100, sources


def _by_yes_and_no(marked: Sequence[Marked]) -> tuple[float, dict[str, float]]:
    """POPE: a wrong answer where "no" is right counts as a "yes", as in its own script, which takes all that is no "no" for one."""
    positive = [credit for question, credit in marked if question.right_text.casefold() == "yes"]
    negative = [credit for question, credit in marked if question.right_text.casefold() != "yes"]
    found = sum(positive)
    said = found + len(negative) - sum(negative)
    precision = found / said if said else 0.0
    recall = found / len(positive) if positive else 0.0
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
    return _mean(marked), {"precision": 100 * precision, "recall": 100 * recall, "f1": 100 * f1}


def _whole_groups(marked: Sequence[Marked]) -> float:
    """Questions without a group are groups of their own."""
    groups = _group(marked, lambda asked: asked.group or f"question {asked.id}")
    return fmean(prod(credit for _, credit in members) for members in groups.values())


def _mean(marked: Sequence[Marked]) -> float:
    return fmean(credit for _, credit in marked)


def _group(marked: Sequence[Marked], key: Callable[[Question], str]) -> dict[str, list[Marked]]:
    groups: dict[str, list[Marked]] = {}
    for question, credit in marked:
        groups.setdefault(key(question), []).append((question, credit))
    return groups


_RULES: Mapping[Rule, Callable[[Sequence[Marked]], tuple[float, dict[str, float]]]] = {
    "questions": _by_questions,
    "groups": _by_groups,
    "pairs_in_subtasks": _by_subtasks,
    "sources": _by_sources,
    "yes_no": _by_yes_and_no,
}
