"""The folders of single runs: each new run has its own, and one that was cut off is found again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from opabinia.experiment import Experiment
from opabinia.run_folders import LATEST, REPORT, cut_off_run_folder, new_run_folder

QUICKSTART = Path(__file__).parents[1] / "jobs" / "experiments" / "quickstart.yaml"


def experiment(folder: Path, seed: int = 0) -> Experiment:
    settings = yaml.safe_load(QUICKSTART.read_text()) | {"output": str(folder), "seed": seed}
    return Experiment.model_validate(settings)


def test_the_latest_run_is_gone_on_with_under_its_own_settings(tmp_path: Path) -> None:
    folder = new_run_folder(experiment(tmp_path))
    assert cut_off_run_folder(experiment(tmp_path), LATEST) == folder
    assert cut_off_run_folder(experiment(tmp_path), folder.name) == folder


def test_other_settings_are_refused_with_those_it_was_begun_with(tmp_path: Path) -> None:
    folder = new_run_folder(experiment(tmp_path))
    with pytest.raises(ValueError, match=rf"^resume: .* other settings; go on with --config {folder}/experiment.yaml"):
        cut_off_run_folder(experiment(tmp_path, seed=1), LATEST)


def test_a_run_that_has_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    (new_run_folder(experiment(tmp_path)) / REPORT).touch()
    with pytest.raises(ValueError, match=r"^resume: run \S+ has ended"):
        cut_off_run_folder(experiment(tmp_path), LATEST)


def test_a_run_that_never_was_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^resume: no run was begun below"):
        cut_off_run_folder(experiment(tmp_path), LATEST)
    new_run_folder(experiment(tmp_path))
    with pytest.raises(ValueError, match=r"^resume: .*20200101"):
        cut_off_run_folder(experiment(tmp_path), "20200101-000000")
