"""Score a model in training on the held-out benchmark: with the image, without it, and against guessing."""

from __future__ import annotations

from dataclasses import dataclass

from opabinia.evaluation.benchmarks.formats.pictures import pictures_of
from opabinia.evaluation.benchmarks.formats.registry import published_questions
from opabinia.evaluation.benchmarks.limited import limited
from opabinia.evaluation.benchmarks.records import benchmark_records
from opabinia.evaluation.evaluate import Evaluation, evaluate
from opabinia.evaluation.pictures import OpenPicture
from opabinia.evaluation.questions import BenchmarkConfig, Question, load_questions
from opabinia.evaluation.report import Status, TrialReport
from opabinia.evaluation.scoring import random_guess
from opabinia.models.answering import ModelAnswerer


@dataclass(frozen=True, slots=True)
class Scored:
    """A report, and the answers it rests on."""

    report: TrialReport
    with_image: Evaluation
    blind: Evaluation


@dataclass(frozen=True, slots=True)
class Scorer:
    """The benchmark, read once and asked as often as the run reports."""

    config: BenchmarkConfig
    questions: list[Question]
    image_keys: dict[str, str]
    keys_alone: bool = True

    def ask(self, answerer: ModelAnswerer) -> tuple[Evaluation, Evaluation]:
        """All questions, with the image and without."""
        return self._ask(answerer, with_image=True), self._ask(answerer, with_image=False)

    def scored(
        self,
        seen: Evaluation,
        blind: Evaluation,
        name: str,
        encoders: tuple[str, ...],
        connector: str,
        *,
        seed: int,
        status: Status = "finished",
        steps: int = 0,
        seconds: float = 0.0,
    ) -> Scored:
        """The report of all questions answered with the image and without, however they were asked."""
        guess = random_guess(self.questions)
        report = TrialReport(
            trial_id=name,
            encoders=encoders,
            connector=connector,
            seed=seed,
            status=status,
            steps=steps,
            seconds=seconds,
            with_image=seen.scores,
            blind=blind.scores,
            random=guess,
            prompt_kind=seen.prompt_kind,
            scorer=seen.scorer,
            evaluator_version=seen.evaluator_version,
            benchmarks=benchmark_records(seen, blind, guess, self.config.prompt),
        )
        return Scored(report, seen, blind)

    @property
    def images(self) -> OpenPicture:
        """What opens the pictures of the questions."""
        return pictures_of(self.config)

    def _ask(self, answerer: ModelAnswerer, *, with_image: bool) -> Evaluation:
        return evaluate(
            answerer,
            self.questions,
            self.images,
            with_image=with_image,
            image_keys=self.image_keys,
            keys_alone=self.keys_alone,
            batch=self.config.batch,
            max_new_tokens=self.config.max_new_tokens,
            prompt_kind=self.config.prompt,
        )


def open_scorer(
    config: BenchmarkConfig, image_keys: dict[str, str] | None = None, *, keys_alone: bool = True
) -> Scorer:
    """`image_keys` are given where the pictures' features are in the table; the pictures are read otherwise.

    keys_alone: whether the table has the features of all encoders; if not, the pictures are read too.

    Raises ValueError for questions that are missing or malformed.
    """
    return Scorer(config, _questions(config), image_keys or {}, keys_alone)


def _questions(config: BenchmarkConfig) -> list[Question]:
    if not config.files:
        return load_questions(config)
    questions = published_questions(config.files)
    return questions if config.limit_per_family is None else limited(questions, config.limit_per_family)
