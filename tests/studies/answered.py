"""Sweeps that have been answered: so many questions right in each trial, with the image and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from opabinia.studies.answers import SweepAnswers, Trial
from tests.evaluation.specimens import question, report, scores

QUESTIONS = tuple(
    question(number, family=family, task=family, image=f"{number}.png")
    for family, numbers in {"general": range(40), "knowledge": range(40, 80)}.items()
    for number in numbers
)


def trial(name: str, seed: int, right: float, blind: float = 0.25, draw: int = 0, words: float = 1.0) -> Trial:
    """Each question is answered right with these chances, drawn from the seed and `draw`."""
    rng = np.random.default_rng([seed, draw])
    hardness = rng.random(len(QUESTIONS))
    return Trial(
        report=report(f"{name}.s{seed}", seed=seed, with_image=scores(*[50.0] * 4)),
        checkpoint=Path(),
        questions=QUESTIONS,
        words=np.full(len(QUESTIONS), words),
        earned={
            "image": (hardness < right).astype(float),
            "blind": (hardness < blind).astype(float),
            "random": np.full(len(QUESTIONS), 1 / 3),
        },
    )


def answered(chances: Mapping[str, float], seeds: Sequence[int] = (0, 1, 2)) -> SweepAnswers:
    """Configurations by name, each right with this chance."""
    return SweepAnswers(
        {name: {seed: trial(name, seed, right) for seed in seeds} for name, right in chances.items()}, {}
    )
