"""What the finished trials of a sweep answered, by configuration and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opabinia.evaluation.masking.utilisation import Kept
from opabinia.evaluation.questions import Question
from opabinia.evaluation.report import TrialReport, comparable
from opabinia.evaluation.samples import AnswerPair, load_answers
from opabinia.evaluation.scoring import chance
from opabinia.evaluation.shares.shares import EncoderShares
from opabinia.evaluation.statistics.clustering import Floats
from opabinia.evaluation.statistics.credits import Credits, credits_of, joined
from opabinia.names import configuration_name, unknown
from opabinia.studies.config import Asked, Side
from opabinia.sweeps.driver import LOG
from opabinia.sweeps.trial_log import logged_trials


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial: its report, its last checkpoint, and what it earned on each question (questions,)."""

    report: TrialReport
    checkpoint: Path
    questions: tuple[Question, ...]
    words: Floats
    """In each answer with the image (questions,)."""
    earned: Mapping[Asked | Kept, Floats]
    """With the image, without it, and guessing; and with only some encoders' features, by which."""
    shares: EncoderShares | None = None
    """How much each encoder counts, where that was measured."""

    def credits(self, side: Side) -> Credits:
        """Raises ValueError where the side was not measured."""
        return Credits(self.questions, self.earned[self._key(side)][np.newaxis])

    def _key(self, side: Side) -> Asked | Kept:
        if side.keeps is None:
            return side.asked
        subsets = [kept for kept in self.earned if isinstance(kept, tuple)]
        for kept in subsets:
            if set(kept) == set(side.keeps):
                return kept
        listing = ", ".join("+".join(kept) or "none" for kept in subsets) or "none was scored (measures: [masks])"
        raise ValueError(f"keeps: {side} was not scored in {self.report.trial_id}; subsets scored: {listing}")


@dataclass(frozen=True, slots=True)
class SweepAnswers:
    """configurations: name -> seed -> trial, in the sweep's order. unfinished: trial -> what became of it."""

    configurations: Mapping[str, Mapping[int, Trial]]
    unfinished: Mapping[str, str]

    def credits(self, side: Side) -> Credits:
        """What a side of a finding earned, (seeds, questions).

        Raises ValueError where no trial of its configuration finished, or what it asks for was not measured.
        """
        if side.configuration is None:
            return self._mean_of_all(side)
        if side.configuration not in self.configurations:
            raise unknown("finished configuration", side.configuration, self.configurations, place="study")
        return joined([trial.credits(side) for trial in self.configurations[side.configuration].values()])

    def _mean_of_all(self, side: Side) -> Credits:
        """Over configurations, for each seed that all of them have."""
        first, *others = self.configurations.values()
        seeds = [seed for seed in sorted(first) if all(seed in trials for trials in others)]
        if not seeds:
            raise ValueError("study: no seed finished in every configuration; run those that are missing (--resume)")
        return joined([self._mean_of_seed(side, seed) for seed in seeds])

    def _mean_of_seed(self, side: Side, seed: int) -> Credits:
        each = [trials[seed].credits(side) for trials in self.configurations.values()]
        together = joined(each)
        return Credits(together.questions, together.earned.mean(axis=0, keepdims=True))

    @property
    def trials(self) -> list[Trial]:
        """All that finished, seeds of a configuration together."""
        return [trial for of_seeds in self.configurations.values() for trial in of_seeds.values()]


def sweep_answers(folder: Path) -> SweepAnswers:
    """Of the sweep in this folder.

    Raises ValueError where the folder is no sweep's, none of its trials finished, they were scored in different ways, or answers
    cannot be read.
    """
    logged = logged_trials(folder / LOG)
    configurations: dict[str, dict[int, Trial]] = {}
    unfinished: dict[str, str] = {}
    for name, trial in logged.items():
        if trial.ended != "finished" or not trial.told:
            unfinished[name] = trial.ended or "cut off"
            continue
        report, checkpoint = trial.told[-1].report, trial.told[-1].checkpoint
        of_seeds = configurations.setdefault(configuration_name(report.trial_id, report.seed), {})
        of_seeds[report.seed] = _trial(report, checkpoint, load_answers(checkpoint / "answers.json"))
    answers = SweepAnswers(configurations, unfinished)
    if not answers.trials:
        raise ValueError(
            f"{folder}: no trial of a sweep finished here; name a folder such as runs/quickstart/sweeps/20260101-120000"
        )
    if not comparable([trial.report for trial in answers.trials]):
        raise ValueError(
            f"{folder}: trials were scored with different prompts, scorers or formulas; score them all alike"
        )
    return answers


def _trial(report: TrialReport, checkpoint: Path, pairs: Sequence[AnswerPair]) -> Trial:
    questions = tuple(pair.question for pair in pairs)
    earned: dict[Asked | Kept, Floats] = {
        "image": credits_of(pairs).earned[0],
        "blind": np.array([_credit(pair.blind_credit, pair.blind_correct) for pair in pairs]),
        "random": np.array([chance(question) for question in questions]),
    }
    words = np.array([float(len(pair.answer.split())) for pair in pairs])
    return Trial(report, checkpoint, questions, words, earned)


def _credit(credit: float | None, correct: bool) -> float:
    return float(correct) if credit is None else credit
