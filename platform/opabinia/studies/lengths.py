"""How long answers are: the answer machine is a model that was trained on short answers alone (Tong et al. 2024, §5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from opabinia.evaluation.statistics.credits import Credits, joined
from opabinia.evaluation.statistics.intervals import CONFIDENCE
from opabinia.evaluation.statistics.students import quantile
from opabinia.evaluation.statistics.variances import sampled_score
from opabinia.studies.answers import SweepAnswers, Trial


@dataclass(frozen=True, slots=True)
class LengthRow:
    """A configuration, seeds together. words: of the mean answer, families weighing alike, half_width of its 95 % interval; one_word:
    percent of answers."""

    name: str
    words: float
    half_width: float
    one_word: float


def length_rows(answers: SweepAnswers) -> list[LengthRow]:
    """Every configuration, the longest answers first. Raises ValueError where all questions of one task are about one image."""
    rows = [_row(name, list(trials.values())) for name, trials in answers.configurations.items()]
    return sorted(rows, key=lambda row: -row.words)


def _row(name: str, trials: list[Trial]) -> LengthRow:
    sampled = sampled_score(joined([Credits(trial.questions, trial.words[np.newaxis]) for trial in trials]))
    reach = quantile(sampled.total.degrees, (1 + CONFIDENCE) / 2) * sqrt(sampled.total.value)
    one_word = 100 * float(np.mean([trial.words == 1 for trial in trials]))
    return LengthRow(name, sampled.value, reach, one_word)
