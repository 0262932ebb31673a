"""From an experiment to its runs: those whose settings agree, and the others with the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.command_line import parse_settings
from opabinia.experiment import Experiment
from opabinia.runs import sweep_runs

QUICKSTART = Path(__file__).parents[1] / "jobs" / "experiments" / "quickstart.yaml"
INPUTS = Path("not-there-yet.json")


def experiment(*flags: str) -> Experiment:
    return parse_settings(Experiment, flags, default_file=QUICKSTART)


def test_every_trial_is_a_run_with_its_own_model_and_seed() -> None:
    runs, left_out = sweep_runs(experiment("--sweep.seeds", "null", "--sweep.repeats", "2", "--seed", "5"), INPUTS, {})
    assert (len(runs), left_out) == (2 * 14, [])
    assert {run.seed for run in runs} == {5, 6}
    assert runs[0].model.encoders == ("burgess/caption-vit",)


def test_epochs_become_steps_by_the_records_that_are_known() -> None:
    runs, _ = sweep_runs(experiment("--stages.0.steps", "null", "--stages.0.epochs", "2"), INPUTS, {"alignment": 320})
    assert runs[0].stages[0].steps == 20


def test_a_stage_about_an_encoder_that_a_set_lacks_leaves_its_trials_out() -> None:
    alone = (
        "--stages.0.alone",
        "burgess/mim-vit",
        "--sweep.encoder_sets",
        '[["burgess/mim-vit"], ["burgess/caption-vit"]]',
    )
    runs, left_out = sweep_runs(experiment(*alone), INPUTS, {})
    assert [run.model.encoders for run in runs] == [("burgess/mim-vit",)] * 2
    assert [one.trial for one in left_out] == ["caption-vit.mlp2x_gelu.s0", "caption-vit.sva.s0"]
    assert "about burgess/mim-vit alone, which is not among burgess/caption-vit" in left_out[0].reason


def test_a_batch_that_workers_cannot_share_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^stages\.0\.batch: 32 rows are no multiple of 3 workers[^\n]*$"):
        sweep_runs(experiment("--workers.count", "3"), INPUTS, {})
