"""What finished trials are asked beyond their scores: every subset of their encoders, and each encoder's share. Nothing is trained."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from opabinia.evaluation.masking.masked import score_masks
from opabinia.evaluation.masking.masks_file import load_masks, save_masks
from opabinia.evaluation.masking.utilisation import MaskedScores
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.evaluation.shares.shares import EncoderShares, encoder_shares
from opabinia.evaluation.shares.shares_file import load_shares, save_shares
from opabinia.models.answering import load_answerer
from opabinia.studies.answers import SweepAnswers, Trial
from opabinia.studies.config import Measure
from opabinia.training.reports.scorer import Scorer, open_scorer

_MASKS, _SHARES = "masks", "shares"


def probed(
    answers: SweepAnswers, benchmark: BenchmarkConfig, measures: Collection[Measure], folder: Path
) -> SweepAnswers:
    """The same sweep, each trial of several encoders with what `measures` wants of it, on the benchmark's questions.

    Kept in `folder`, a file a trial, so that a second report asks nothing. Raises ValueError for a file there that is damaged, and as
    `open_scorer`, `score_masks` and `encoder_shares` do.
    """
    if not {_MASKS, _SHARES} & set(measures):
        return answers
    scorer = open_scorer(benchmark)
    configurations = {
        name: {seed: _probed(trial, scorer, measures, folder) for seed, trial in trials.items()}
        for name, trials in answers.configurations.items()
    }
    return replace(answers, configurations=configurations)


def _probed(trial: Trial, scorer: Scorer, measures: Collection[Measure], folder: Path) -> Trial:
    if len(trial.report.encoders) < 2:
        return trial
    if _MASKS in measures:
        trial = _with_masks(trial, _masks(trial, scorer, folder / _MASKS / f"{trial.report.trial_id}.json"))
    if _SHARES in measures:
        trial = replace(trial, shares=_shares(trial, scorer, folder / _SHARES / f"{trial.report.trial_id}.json"))
    return trial


def _masks(trial: Trial, scorer: Scorer, file: Path) -> MaskedScores:
    if file.exists():
        return load_masks(file)
    config = scorer.config
    masked = score_masks(
        load_answerer(trial.checkpoint),
        scorer.questions,
        scorer.images,
        batch=config.batch,
        max_new_tokens=config.max_new_tokens,
        prompt_kind=config.prompt,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    save_masks(file, masked)
    return masked


def _shares(trial: Trial, scorer: Scorer, file: Path) -> EncoderShares:
    if file.exists():
        return load_shares(file)
    config = scorer.config
    answerer = load_answerer(trial.checkpoint)
    shares = encoder_shares(answerer, scorer.questions, scorer.images, batch=config.batch, prompt_kind=config.prompt)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_shares(file, shares)
    return shares


def _with_masks(trial: Trial, masked: MaskedScores) -> Trial:
    if masked.questions != trial.questions:
        raise ValueError(
            f"study: the masks of {trial.report.trial_id} were scored on other questions than the trial; use the sweep's own benchmark"
        )
    return replace(
        trial, earned={**trial.earned, **{kept: np.array(credits) for kept, credits in masked.credits.items()}}
    )
