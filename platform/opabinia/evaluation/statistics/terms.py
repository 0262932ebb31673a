"""A score as a tree of plain means: what enters which mean, and what that mean weighs in the score."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.entry import Rule
from opabinia.evaluation.questions import Question

Term = tuple[str, ...]
"""Path from the whole score down to the mean that a unit enters: ("general", "colour")."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a mean is taken over: a question, or several that count only together, whose credits multiply.

    `members` are their places among the questions. Units with the same `cluster` are about the same picture.
    """

    term: Term
    cluster: Hashable
    members: tuple[int, ...]


def units(questions: Sequence[Question]) -> list[Unit]:
    """Where the formulas of evaluation/scoring.py put each question (Tong et al. 2024, §2.1 and §3.2).

    Benchmarks that the study does not average are left out, unless there are no others. A group of questions about several
    pictures (MMVP's pairs) is one cluster, by the first, since those pictures were chosen together.
    """
    counted = [place for place, question in enumerate(questions) if _averaged(question)]
    counted = counted or list(range(len(questions)))
    groups: dict[Hashable, list[int]] = {}
    for place in counted:
        groups.setdefault(_group_of(questions[place]), []).append(place)
    return [unit for members in groups.values() for unit in _units_of_group(questions, members)]


def term_weights(terms: Iterable[Term]) -> dict[Term, float]:
    """What each term's mean weighs in the mean of means above it; the weights sum to 1.

    At every node the branches count alike, however much each holds.
    """
    kinds = sorted(set(terms))
    branches = {kind[:depth]: set[str]() for kind in kinds for depth in range(len(kind))}
    for kind in kinds:
        for depth, branch in enumerate(kind):
            branches[kind[:depth]].add(branch)
    return {kind: _weight(kind, branches) for kind in kinds}


def families(questions: Sequence[Question]) -> list[str]:
    """The families that have a part in the score, in the order they came."""
    return list(dict.fromkeys(unit.term[0] for unit in units(questions)))


def _averaged(question: Question) -> bool:
    return not question.benchmark or BENCHMARKS[question.benchmark].averaged


def _rule(question: Question) -> Rule:
    return BENCHMARKS[question.benchmark].rule if question.benchmark else "questions"


def _group_of(question: Question) -> Hashable:
    """Questions without a group are groups of their own."""
    task = question.task if _rule(question) == "pairs_in_subtasks" else ""
    alone = () if question.group else (question.id,)
    return (question.family, question.benchmark, task, question.group, *alone)


def _units_of_group(questions: Sequence[Question], members: Sequence[int]) -> Iterator[Unit]:
    first = questions[members[0]]
    cluster: Hashable = first.scene or first.image or _group_of(first)
    match _rule(first):
        case "groups":
            yield Unit(_term(first), cluster, tuple(members))
        case "pairs_in_subtasks":
            yield Unit((*_term(first), "whole"), cluster, tuple(members))
            yield from (Unit((*_term(first), "each"), cluster, (place,)) for place in members)
        case _:
            yield from (Unit(_term(questions[place]), cluster, (place,)) for place in members)


def _term(question: Question) -> Term:
    match _rule(question):
        case "sources":
            return (question.family, question.benchmark, question.source)
        case "pairs_in_subtasks":
            return (question.family, question.benchmark, question.task)
        case _ if question.benchmark:
            return (question.family, question.benchmark)
        # CV-Bench pools tasks and takes the mean of sources in 2D and in 3D, then of the two.
        case _ if question.family == "vision_centric":
            return (question.family, question.type, question.source)
        case _:
            return (question.family, question.task)


def _weight(kind: Term, branches: dict[Term, set[str]]) -> float:
    weight = 1.0
    for depth in range(len(kind)):
        weight /= len(branches[kind[:depth]])
    return weight
