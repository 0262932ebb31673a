"""The answers of one configuration as numbers: what each seed's model earned on each question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from opabinia.evaluation.questions import Question
from opabinia.evaluation.samples import AnswerPair
from opabinia.evaluation.statistics.clustering import Floats


@dataclass(frozen=True, slots=True)
class Credits:
    """`earned` (seeds, questions) is 1 for a right answer and 0 for a wrong one, or between where a scorer gives parts."""

    questions: tuple[Question, ...]
    earned: Floats

    @property
    def seeds(self) -> int:
        return self.earned.shape[0]

    def of_family(self, family: str) -> Credits:
        """The answers to one family's questions."""
        return self._at([place for place, question in enumerate(self.questions) if question.family == family])

    def of_benchmark(self, name: str) -> Credits:
        """The answers to the questions of one published benchmark."""
        return self._at([place for place, question in enumerate(self.questions) if question.benchmark == name])

    def in_order_of(self, questions: Sequence[Question]) -> Credits:
        """The same answers in another order. Raises ValueError where these are not the questions that were answered."""
        if tuple(questions) == self.questions:
            return self
        place = {question: number for number, question in enumerate(self.questions)}
        missing = [question for question in questions if question not in place]
        if missing or len(questions) != len(self.questions):
            odd = missing[0] if missing else next(iter(set(self.questions) - set(questions)))
            raise ValueError(
                f"answers: {odd.family} question {odd.id} was not answered by both in the same form; score both on one benchmark"
            )
        return self._at([place[question] for question in questions])

    def _at(self, places: Sequence[int]) -> Credits:
        return replace(self, questions=tuple(self.questions[p] for p in places), earned=self.earned[:, list(places)])


def credits_of(pairs: Sequence[AnswerPair]) -> Credits:
    """What one trained model earned, with the image. Raises ValueError where it answered nothing."""
    if not pairs:
        raise ValueError("answers: no question was answered; ask at least one")
    earned = [float(pair.correct) if pair.credit is None else pair.credit for pair in pairs]
    return Credits(tuple(pair.question for pair in pairs), np.array([earned]))


def joined(seeds: Sequence[Credits]) -> Credits:
    """The seeds of one configuration, lined up by question.

    Raises ValueError where there are none, or where two did not answer the same questions.
    """
    if not seeds:
        raise ValueError("answers: no trial of this configuration left any; run it first")
    asked = seeds[0].questions
    return Credits(asked, np.concatenate([one.in_order_of(asked).earned for one in seeds]))
