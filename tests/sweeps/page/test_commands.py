"""Commands on the page do what they say when they are typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from jobs.evaluate import EvaluateSettings
from jobs.export_checkpoint import ExportSettings
from jobs.serve_winners import ServeSettings
from jobs.train import TrainSettings
from opabinia.command_line import load_settings
from opabinia.experiment import Experiment
from opabinia.runs import single_run
from opabinia.sweeps.page.commands import rerun_command, trial_commands
from opabinia.sweeps.page.shown import ShownTrial
from opabinia.training.run import RunConfig
from tests.sweeps.page.sweep import runs_of, trial, write_experiment

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a name that a shell would take apart."""
    found = tmp_path / "my sweep; ok"
    found.mkdir()
    return found


@pytest.fixture
def settings(folder: Path) -> Path:
    return write_experiment(folder)


@pytest.fixture
def shown(settings: Path, folder: Path) -> ShownTrial:
    """One whose connector has settings of its own."""
    return trial(runs_of(settings)[-1], folder, 70.0)


def typed(command: str, kind: type[Experiment], job: str) -> Experiment:
    python, script, *arguments = shlex.split(command)
    assert (python, script) == ("python", f"jobs/{job}.py")
    assert (REPOSITORY / script).is_file()
    return load_settings(kind, arguments, description="", default_file=REPOSITORY / "jobs/experiments/quickstart.yaml")


def run_of(command: str, shown: ShownTrial) -> RunConfig:
    settings = typed(command, TrainSettings, "train")
    assert isinstance(settings, TrainSettings)
    return single_run(settings, shown.run.inputs, settings.variant)


def test_train_is_the_trial_again(shown: ShownTrial, settings: Path) -> None:
    run = run_of(trial_commands(shown, settings)["train"], shown)
    assert run == shown.run.model_copy(update={"connector_label": run.connector_label})


def test_train_longer_doubles_the_last_stage_and_nothing_else(shown: ShownTrial, settings: Path) -> None:
    run = run_of(trial_commands(shown, settings)["train longer"], shown)
    *before, last = shown.run.stages
    assert run.stages == (*before, last.model_copy(update={"steps": 2 * last.steps}))
    assert run.model == shown.run.model


def test_a_last_stage_in_epochs_is_doubled_in_epochs(shown: ShownTrial, folder: Path) -> None:
    document = {"stages": [{"name": "only", "epochs": 0.5, "steps": None}]}
    written = folder / "epochs.yaml"
    written.write_text(yaml.safe_dump(document))
    assert trial_commands(shown, written)["train longer"].endswith("--stages.0.epochs 1.0")


def test_a_variants_trial_is_trained_with_the_variants_stages(folder: Path) -> None:
    settings = write_experiment(folder)
    document = yaml.safe_load(settings.read_text())
    document["sweep"]["variants"] = {"short": {"stages": [{**document["stages"][1], "steps": 20}]}}
    settings.write_text(yaml.safe_dump(document))
    shown = trial(runs_of(settings)[-1], folder, 70.0)
    assert [stage.steps for stage in run_of(trial_commands(shown, settings)["train"], shown).stages] == [20]
    assert [stage.steps for stage in run_of(trial_commands(shown, settings)["train longer"], shown).stages] == [40]


@pytest.mark.parametrize(
    ("what", "kind", "job"),
    [
        ("evaluate", EvaluateSettings, "evaluate"),
        ("export", ExportSettings, "export_checkpoint"),
        ("serve", ServeSettings, "serve_winners"),
    ],
)
def test_what_is_done_with_a_checkpoint_is_done_with_the_trials(
    shown: ShownTrial, settings: Path, what: str, kind: type[EvaluateSettings], job: str
) -> None:
    read = typed(trial_commands(shown, settings)[what], kind, job)
    assert isinstance(read, kind)
    assert read.checkpoint == shown.checkpoint


def test_the_whole_sweep_again_reads_its_own_experiment(shown: ShownTrial, settings: Path) -> None:
    again = typed(rerun_command(settings), Experiment, "sweep_encoders")
    assert again == load_settings(Experiment, ["--config", str(settings)], description="", default_file=settings)
