"""What a sweep answered is read from what its trials left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opabinia.evaluation.samples import save_answers
from opabinia.studies.answers import sweep_answers
from opabinia.studies.config import Side
from opabinia.sweeps.driver import LOG
from opabinia.sweeps.trial_log import Told, log_end, log_start, log_told
from tests.evaluation.specimens import question, report, scores
from tests.studies.answered import answered
from tests.sweeps.page.sweep import evaluation, runs_of, write_experiment

ASKED = [question(number, image=f"{number}.png", choices=("red", "blue")) for number in range(6)]


def write_sweep(folder: Path, endings: dict[int, str]) -> Path:
    """Trials by their place in the quickstart's sweep: the first half of the questions right with the image, none without."""
    folder.mkdir(exist_ok=True)
    runs = runs_of(write_experiment(folder))
    for place, ended in endings.items():
        run, checkpoint = runs[place], folder / runs[place].name
        checkpoint.mkdir()
        save_answers(
            checkpoint / "answers.json", evaluation(ASKED, *["red"] * 3, *["dark blue"] * 3), evaluation(ASKED, "blue")
        )
        told = replace(report(run.name, with_image=scores(*[50.0] * 4)), seed=run.seed)
        log_start(folder / LOG, run)
        log_told(folder / LOG, run.name, Told(told, checkpoint, 1.0, []))
        if ended:
            log_end(folder / LOG, run.name, ended)
    return folder


def test_each_trial_has_its_credits_in_three_ways_and_the_words_of_its_answers(tmp_path: Path) -> None:
    (trial,) = sweep_answers(write_sweep(tmp_path, {0: "finished"})).trials
    assert list(trial.earned["image"]) == [1, 1, 1, 0, 0, 0]
    assert list(trial.earned["blind"]) == [0] * 6
    assert list(trial.earned["random"]) == [0.5] * 6
    assert list(trial.words) == [1, 1, 1, 2, 2, 2]


def test_trials_that_did_not_finish_are_named_and_do_not_count(tmp_path: Path) -> None:
    answers = sweep_answers(write_sweep(tmp_path, {0: "finished", 1: "stopped", 2: ""}))
    assert len(answers.configurations) == 1
    assert list(answers.unfinished.values()) == ["stopped", "cut off"]


def test_a_sweep_without_finished_trials_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no trial of a sweep finished here; name a folder such as"):
        sweep_answers(write_sweep(tmp_path, {0: "failed"}))


def test_all_configurations_together_are_their_mean_seed_by_seed() -> None:
    sweep = answered({"a": 0.9, "b": 0.3})
    each = [sweep.credits(Side(configuration=name)).earned for name in ("a", "b")]
    assert np.array_equal(sweep.credits(Side()).earned, (each[0] + each[1]) / 2)


def test_only_seeds_that_all_configurations_have_are_put_together() -> None:
    sweep = answered({"a": 0.9}, seeds=(0, 1, 2))
    fewer = answered({"b": 0.3}, seeds=(1,))
    together = replace(sweep, configurations={**sweep.configurations, **fewer.configurations})
    assert together.credits(Side()).seeds == 1
    apart = replace(
        together, configurations={**sweep.configurations, **answered({"b": 0.3}, seeds=(7,)).configurations}
    )
    with pytest.raises(ValueError, match="study: no seed finished in every configuration"):
        apart.credits(Side())


def test_what_was_not_trained_or_not_scored_is_one_line() -> None:
    sweep = answered({"caption.sva": 0.9})
    with pytest.raises(
        ValueError, match=r"study: unknown finished configuration 'caption\.svb'; did you mean 'caption\.sva'"
    ):
        sweep.credits(Side(configuration="caption.svb"))
    with pytest.raises(ValueError, match=r"keeps: caption.sva, keeping caption was not scored in caption.sva.s0"):
        sweep.credits(Side(configuration="caption.sva", keeps=("caption",)))
