"""Ask a model every question, with the image or without, and mark its answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.data.records import PLACEHOLDER, Turn
from opabinia.evaluation.benchmarks.catalogue import BENCHMARKS
from opabinia.evaluation.benchmarks.scorers.registry import scorer_of
from opabinia.evaluation.pictures import OpenPicture, pictures_in
from opabinia.evaluation.prompt_kinds import PROMPT_KINDS
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import EVALUATOR_VERSION, FamilyScores, family_scores

if TYPE_CHECKING:
    from opabinia.models.answering import Answerer, Prompt


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, what the model said, and the credit that this earned, from 0 to 1."""

    question: Question
    answer: str
    credit: float

    @property
    def correct(self) -> bool:
        """Whether it earned at least half the credit."""
        return self.credit >= 0.5


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every answer in the order of the questions, their scores, and what the scores depend on.

    Of several prompt kinds or scorers, all are named: "choice-match-2+relaxed-1".
    """

    scores: FamilyScores
    answers: tuple[Judged, ...]
    with_image: bool
    prompt_kind: str
    scorer: str
    evaluator_version: int
    seconds: float


def evaluate(
    answerer: Answerer,
    questions: Sequence[Question],
    images: Path | OpenPicture,
    *,
    with_image: bool,
    batch: int = 32,
    max_new_tokens: int = 16,
    prompt_kind: str | None = None,
    image_keys: Mapping[str, str] | None = None,
    keys_alone: bool = True,
) -> Evaluation:
    """Answer greedily and score. Blind asks the same questions without placeholder and image.

    `images` is the folder of the questions' pictures, or what opens them. Without a prompt kind, questions are asked alone, those of
    published benchmarks as the catalogue says. With `image_keys`, from image path to the key of its stored features, no image is
    opened; empty is none. With `keys_alone` False they are opened all the same, for encoders without stored features. Raises ValueError
    naming an image that cannot be read or has no key, or where the answerer returns too few answers.
    """
    started = time.perf_counter()
    open_picture = pictures_in(images) if isinstance(images, Path) else images
    texts: list[str] = []
    for asked in _batches(questions, batch):
        prompts = [
            ask(
                question,
                open_picture,
                with_image=with_image,
                prompt_kind=prompt_kind,
                image_keys=image_keys,
                keys_alone=keys_alone,
            )
            for question in asked
        ]
        answers = answerer.answer(prompts, max_new_tokens=max_new_tokens)
        if len(answers) != len(asked):
            raise ValueError(f"the answerer returned {len(answers)} answers to {len(asked)} questions; return one each")
        texts += [answer.text for answer in answers]
    seconds = time.perf_counter() - started
    return evaluation_of(questions, texts, with_image=with_image, prompt_kind=prompt_kind, seconds=seconds)


def evaluation_of(
    questions: Sequence[Question], texts: Sequence[str], *, with_image: bool, prompt_kind: str | None, seconds: float
) -> Evaluation:
    """Score what was answered, in the order of the questions; `seconds` is what answering took."""
    judged = tuple(
        Judged(question, text, scorer_of(question).credit(question, text))
        for question, text in zip(questions, texts, strict=True)
    )
    return Evaluation(
        scores=family_scores(questions, [mark.credit for mark in judged]),
        answers=judged,
        with_image=with_image,
        prompt_kind=_all(prompt_kind or kind_of(question) for question in questions),
        scorer=_all(scorer_of(question).version for question in questions),
        evaluator_version=EVALUATOR_VERSION,
        seconds=seconds,
    )


def ask(
    question: Question,
    open_picture: OpenPicture,
    *,
    with_image: bool,
    prompt_kind: str | None = None,
    image_keys: Mapping[str, str] | None = None,
    keys_alone: bool = True,
) -> Prompt:
    """The prompt for one question; blind differs from sighted in the placeholder and the image alone."""
    from opabinia.models.answering import Prompt

    turns = (Turn("user", words_of(question, with_image=with_image, prompt_kind=prompt_kind)),)
    if question.image is None or not with_image:
        return Prompt(turns)
    if image_keys and question.image not in image_keys:
        raise ValueError(f"benchmark.images: {question.image} has no stored features; compute the features again")
    key = image_keys[question.image] if image_keys else ""
    return Prompt(turns, None if key and keys_alone else open_picture(question.image), key)


def words_of(question: Question, *, with_image: bool, prompt_kind: str | None = None) -> str:
    """The user's turn, with the placeholder where there is an image to see."""
    text = PROMPT_KINDS[prompt_kind or kind_of(question)](question.question, question.choices)
    return f"{PLACEHOLDER}\n{text}" if question.image is not None and with_image else text


def kind_of(question: Question) -> str:
    """The prompt kind that a question is asked with unless another is chosen."""
    if not question.benchmark:
        return "text"
    benchmark = BENCHMARKS[question.benchmark]
    return benchmark.prompt if question.choices else benchmark.open_prompt or benchmark.prompt


def _all(names: Iterable[str]) -> str:
    return "+".join(sorted(set(names)))


def _batches(questions: Sequence[Question], size: int) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), size):
        yield questions[start : start + size]
