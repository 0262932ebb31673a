"""Ask a model every question, with the image or without, and mark its answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.data.records import PLACEHOLDER, Turn
from opabinia.evaluation.matching import SCORER, is_correct
from opabinia.evaluation.prompt_kinds import PROMPT_KINDS
from opabinia.evaluation.questions import Question
from opabinia.evaluation.scoring import EVALUATOR_VERSION, FamilyScores, family_scores

if TYPE_CHECKING:
    from PIL.Image import Image

    from opabinia.models.answering import Answerer, Prompt


@dataclass(frozen=True, slots=True)
class Judged:
    """A question, what the model said, and whether that was right."""

    question: Question
    answer: str
    correct: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every answer in the order of the questions, their scores, and what the scores depend on."""

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
    images_folder: Path,
    *,
    with_image: bool,
    batch: int = 32,
    max_new_tokens: int = 16,
    prompt_kind: str = "text",
    image_keys: Mapping[str, str] | None = None,
    keys_alone: bool = True,
) -> Evaluation:
    """Answer greedily and score. Blind asks the same questions without placeholder and image.

    With `image_keys`, from image path to the key of its stored features, no image is opened; empty is none. With `keys_alone` False
    they are opened all the same, for encoders without stored features. Raises ValueError naming an image that cannot be read or has
    no key, or where the answerer returns too few answers.
    """
    started = time.perf_counter()
    judged: list[Judged] = []
    for asked in _batches(questions, batch):
        prompts = [
            ask(
                question,
                images_folder,
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
        for question, answer in zip(asked, answers, strict=True):
            judged.append(Judged(question, answer.text, is_correct(question, answer.text)))
    return Evaluation(
        scores=family_scores(questions, [mark.correct for mark in judged]),
        answers=tuple(judged),
        with_image=with_image,
        prompt_kind=prompt_kind,
        scorer=SCORER,
        evaluator_version=EVALUATOR_VERSION,
        seconds=time.perf_counter() - started,
    )


def ask(
    question: Question,
    images_folder: Path,
    *,
    with_image: bool,
    prompt_kind: str = "text",
    image_keys: Mapping[str, str] | None = None,
    keys_alone: bool = True,
) -> Prompt:
    """The prompt for one question; blind differs from sighted in the placeholder and the image alone."""
    from opabinia.models.answering import Prompt

    text = PROMPT_KINDS[prompt_kind](question.question, question.choices)
    if question.image is None or not with_image:
        return Prompt((Turn("user", text),))
    turns = (Turn("user", f"{PLACEHOLDER}\n{text}"),)
    if image_keys and question.image not in image_keys:
        raise ValueError(f"benchmark.images: {question.image} has no stored features; compute the features again")
    key = image_keys[question.image] if image_keys else ""
    return Prompt(turns, None if key and keys_alone else _read_image(images_folder / question.image), key)


def _batches(questions: Sequence[Question], size: int) -> Iterator[Sequence[Question]]:
    for start in range(0, len(questions), size):
        yield questions[start : start + size]


def _read_image(path: Path) -> Image:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"benchmark.images: {path} cannot be read as an image ({error}); replace the file") from None
