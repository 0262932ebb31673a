"""The folders of runs and sweeps: each new one has its own, and one that was cut off is found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from opabinia.experiment import Experiment
from opabinia.run_folders import LATEST, RUN, SWEEP, Kind, cut_off_folder, extended_folder, new_folder

QUICKSTART = Path(__file__).parents[1] / "jobs" / "experiments" / "quickstart.yaml"


KINDS = pytest.mark.parametrize("kind", [RUN, SWEEP], ids=lambda kind: kind.what)


def experiment(folder: Path, seed: int = 0, **sweep: Any) -> Experiment:
    settings = yaml.safe_load(QUICKSTART.read_text()) | {"output": str(folder), "seed": seed}
    settings["sweep"] |= sweep
    return Experiment.model_validate(settings)


@KINDS
def test_the_latest_is_gone_on_with_under_its_own_settings(kind: Kind, tmp_path: Path) -> None:
    folder = new_folder(kind, experiment(tmp_path))
    assert cut_off_folder(kind, experiment(tmp_path), LATEST) == folder
    assert cut_off_folder(kind, experiment(tmp_path), folder.name) == folder


@KINDS
def test_other_settings_are_refused_with_those_it_was_begun_with(kind: Kind, tmp_path: Path) -> None:
    folder = new_folder(kind, experiment(tmp_path))
    with pytest.raises(ValueError, match=rf"^resume: .* other settings; go on with --config {folder}/experiment.yaml"):
        cut_off_folder(kind, experiment(tmp_path, seed=1), LATEST)


@KINDS
def test_one_that_has_ended_is_not_gone_on_with(kind: Kind, tmp_path: Path) -> None:
    (new_folder(kind, experiment(tmp_path)) / kind.result).touch()
    with pytest.raises(ValueError, match=rf"^resume: {kind.what} \S+ has ended"):
        cut_off_folder(kind, experiment(tmp_path), LATEST)


@KINDS
def test_one_that_never_was_is_named(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^resume: no {kind.what} was begun below"):
        cut_off_folder(kind, experiment(tmp_path), LATEST)
    new_folder(kind, experiment(tmp_path))
    with pytest.raises(ValueError, match=r"^resume: .*20200101"):
        cut_off_folder(kind, experiment(tmp_path), "20200101-000000")


def test_a_sweep_is_extended_by_what_the_sweep_alone_says(tmp_path: Path) -> None:
    folder = new_folder(SWEEP, experiment(tmp_path))
    (folder / SWEEP.result).touch()
    more = experiment(tmp_path, seeds=[0, 1])
    assert extended_folder(more, LATEST) == folder
    (folder / SWEEP.result).unlink()
    assert cut_off_folder(SWEEP, more, LATEST) == folder


def test_trials_that_would_not_compare_are_not_added(tmp_path: Path) -> None:
    folder = new_folder(SWEEP, experiment(tmp_path))
    before = (folder / "experiment.yaml").read_text()
    with pytest.raises(ValueError, match=rf"^extend: seed is not what it was in sweep {folder.name}"):
        extended_folder(experiment(tmp_path, seed=1, seeds=[0, 1]), LATEST)
    assert (folder / "experiment.yaml").read_text() == before
