"""Benchmarks and answers drawn at random, that several specifications of this room use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from opabinia.evaluation.questions import Question
from opabinia.evaluation.report import Status, TrialReport
from opabinia.evaluation.scoring import family_scores
from opabinia.evaluation.statistics.credits import Credits
from tests.evaluation.specimens import question, report


def one_task(images: int, per_image: int = 1) -> list[Question]:
    """Questions of one task, some about each image."""
    return [question(n, image=f"{n // per_image}.png") for n in range(images * per_image)]


def burgess(images: int, rng: np.random.Generator, per_image: int = 4) -> list[Question]:
    """Questions of all families, by the formulas of the toy world, each image asked several in any task."""
    kinds = [
        ("general", "colour", "", "flat"), ("general", "shape", "", "room"), ("knowledge", "sides", "", "flat"),
        ("ocr_chart", "digit", "", "digits"), ("vision_centric", "Count", "2D", "flat"),
        ("vision_centric", "Relation", "2D", "room"), ("vision_centric", "Depth", "3D", "room"),
    ]  # fmt: skip
    picked = [kinds[n] for n in rng.integers(0, len(kinds), size=images * per_image)]
    return [
        question(n, family=family, task=task, kind=kind, source=source, image=f"{n // per_image}.png")
        for n, (family, task, kind, source) in enumerate(picked)
    ]


def published(
    benchmark: str,
    family: str,
    number: int,
    *,
    tasks: Sequence[str] = ("all",),
    sources: Sequence[str] = ("hub",),
    per_group: int = 0,
    one_picture: bool = True,
) -> list[Question]:
    """Questions of a published benchmark; a group's questions are about one picture or one each."""
    questions: list[Question] = []
    for n in range(number):
        group = n // per_group if per_group else n
        asked = question(n, family=family, task=tasks[group % len(tasks)], source=sources[group % len(sources)])
        picture = f"{benchmark}/{group if one_picture else n}.png"
        questions.append(replace(asked, benchmark=benchmark, image=picture, group=f"pair {group}" if per_group else ""))
    return questions


@dataclass(frozen=True)
class World:
    """How models answer: the probit of being right is the sum of what the seed, image, question and both are like."""

    skill: float = 0.5
    seed: float = 0.0
    image: float = 0.6
    question: float = 0.6
    crossing: float = 0.5
    """Seed with question: one training run gets it, another does not."""

    def expected(self) -> float:
        """The share of right answers over all seeds and images."""
        from scipy.stats import norm

        spread = 1 + self.seed**2 + self.image**2 + self.question**2 + self.crossing**2
        return float(norm.cdf(self.skill / np.sqrt(spread)))

    def hardness(self, questions: Sequence[Question], rng: np.random.Generator) -> NDArray[np.float64]:
        """What the images and questions add, the same for all models (N,)."""
        easy = {image: rng.normal() * self.image for image in dict.fromkeys(q.image for q in questions)}
        return np.array([easy[q.image] + rng.normal() * self.question for q in questions])

    def answers(
        self, questions: Sequence[Question], hardness: NDArray[np.float64], seeds: int, rng: np.random.Generator
    ) -> Credits:
        """The credits of one configuration, trained `seeds` times."""
        shape = (seeds, len(questions))
        skill = self.skill + rng.normal(size=(seeds, 1)) * self.seed
        sure = skill + hardness + rng.normal(size=shape) * np.hypot(1, self.crossing)
        return Credits(tuple(questions), (sure > 0).astype(float))


def trial(name: str, seed: int, credits: Credits, status: Status = "finished") -> tuple[TrialReport, Credits]:
    """A trial of an encoder, with the report that its answers give."""
    scores = family_scores(credits.questions, credits.earned[0].tolist())
    made = report(f"{name}.sva.s{seed}", encoders=(f"burgess/{name}",), seed=seed, status=status)
    return replace(made, with_image=scores, blind=scores, random=scores), credits
