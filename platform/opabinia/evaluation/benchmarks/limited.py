"""A few questions of each benchmark, for a quick look."""

from __future__ import annotations

from collections.abc import Sequence

from opabinia.evaluation.questions import Question
from opabinia.evaluation.subset import spread_over_tasks


def limited(questions: Sequence[Question], limit: int) -> list[Question]:
    """At most `limit` of each benchmark, spread over its tasks and sources; groups stay whole, and one of them is always there."""
    benchmarks = dict.fromkeys(question.benchmark for question in questions)
    by_benchmark = [[asked for asked in questions if asked.benchmark == name] for name in benchmarks]
    return [asked for members in by_benchmark for asked in _of_one(members, limit)]


def _of_one(questions: Sequence[Question], limit: int) -> list[Question]:
    groups: dict[tuple[str, str], list[Question]] = {}
    for question in questions:
        groups.setdefault(_group(question), []).append(question)
    largest = max(map(len, groups.values()))
    chosen = spread_over_tasks([members[0] for members in groups.values()], max(1, limit // largest))
    kept = {_group(question) for question in chosen}
    return [question for question in questions if _group(question) in kept]


def _group(question: Question) -> tuple[str, str]:
    """A question without a group is one of its own."""
    return (question.group, "" if question.group else question.id)
