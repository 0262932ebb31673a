"""Every answer of a trial, with the image and without side by side, and which of them a person should look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opabinia.evaluation.evaluate import Evaluation
from opabinia.evaluation.questions import Question
from opabinia.evaluation.subset import spread_over_tasks
from opabinia.storage.atomic import whole_text


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The same question answered with the image and without; credit is from 0 to 1, and None in files older than it."""

    question: Question
    answer: str
    correct: bool
    blind_answer: str
    blind_correct: bool
    credit: float | None = None
    blind_credit: float | None = None

    @property
    def task(self) -> str:
        """The question's task."""
        return self.question.task

    @property
    def source(self) -> str:
        """The question's source."""
        return self.question.source


def answer_pairs(with_image: Evaluation, blind: Evaluation) -> list[AnswerPair]:
    """Pair the answers in the order of the questions.

    Raises ValueError where the two evaluations did not ask the same questions in the same order.
    """
    if [mark.question for mark in with_image.answers] != [mark.question for mark in blind.answers]:
        raise ValueError("answers: the two evaluations asked different questions; evaluate both on one list")
    return [
        AnswerPair(seen.question, seen.answer, seen.correct, unseen.answer, unseen.correct, seen.credit, unseen.credit)
        for seen, unseen in zip(with_image.answers, blind.answers, strict=True)
    ]


def spread_pairs(pairs: Sequence[AnswerPair], per_family: int) -> list[AnswerPair]:
    """At most `per_family` of each family, evenly spread over its tasks, chosen without regard to the answers."""
    families = dict.fromkeys(pair.question.family for pair in pairs)
    by_family = [[pair for pair in pairs if pair.question.family == family] for family in families]
    return [pair for members in by_family for pair in spread_over_tasks(members, per_family)]


def save_answers(path: Path, with_image: Evaluation, blind: Evaluation) -> None:
    """Write every question with both answers as one JSON file, whole or not at all."""
    with whole_text(path) as file:
        file.write(_adapter().dump_json(answer_pairs(with_image, blind), indent=1).decode())


def load_answers(path: Path) -> list[AnswerPair]:
    """Read what save_answers wrote. Raises ValueError naming the file when it is damaged or missing."""
    try:
        return _adapter().validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"answers: {path} does not exist; score the trial again") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ValueError(f"answers: {path} is damaged at {place or 'its start'}; score the trial again") from None


@cache
def _adapter() -> TypeAdapter[list[AnswerPair]]:
    return TypeAdapter(list[AnswerPair])
