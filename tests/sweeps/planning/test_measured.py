"""How long a step takes is looked up in earlier sweeps of the experiment, if they were of the same kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.settings.mlp import MlpSettings
from opabinia.command_line import write_settings
from opabinia.config import Config
from opabinia.sweeps.planning.measured import measured_pace
from tests.models.small import ENCODERS, LANGUAGE_MODEL
from tests.sweeps.planning.runs import run_of
from tests.training.stages import stage


class Written(Config):
    """The part of an experiment's file that is compared."""

    language_model: str
    workers: dict[str, Any]
    stages: list[dict[str, Any]]
    sweep: dict[str, Any]


USUAL: dict[str, Any] = {
    "language_model": LANGUAGE_MODEL,
    "workers": {"count": 1, "threads": 1},
    "stages": [{"name": "other", "data": "d", "trains": ["connector"], "batch": 4, "steps": 99}],
    "sweep": {"connectors": [{"type": "mlp2x_gelu", "queries": 16}]},
}


def sweep(output: Path, name: str, seconds: float, *, steps: int = 10, start_up: float = 5, **settings: Any) -> None:
    results = output / "sweeps" / name / "results"
    results.mkdir(parents=True)
    report = {
        "trial_id": "t",
        "encoders": list(ENCODERS),
        "connector": "mlp2x_gelu",
        "steps": steps,
        "seconds": seconds,
    }
    (results / "reports.json").write_text(json.dumps([report]))
    (results / "curves.json").write_text(json.dumps({"t": {"start_up_seconds": start_up, "curve": []}}))
    write_settings(Written(**{**USUAL, **settings}), results.parent / "experiment.yaml")


def test_a_step_takes_what_it_took_without_the_start(tmp_path: Path) -> None:
    sweep(tmp_path, "1", 25)
    pace = measured_pace(tmp_path, run_of())
    assert pace is not None
    assert (pace.start_up, pace.step) == (5, 2)


def test_of_several_sweeps_the_median_counts(tmp_path: Path) -> None:
    for name, seconds in (("1", 15), ("2", 25), ("3", 1005)):
        sweep(tmp_path, name, seconds)
    pace = measured_pace(tmp_path, run_of())
    assert pace is not None
    assert pace.step == 2


def test_encoders_are_a_set(tmp_path: Path) -> None:
    sweep(tmp_path, "1", 25)
    assert measured_pace(tmp_path, run_of(encoders=ENCODERS[::-1])) is not None
    assert measured_pace(tmp_path, run_of(encoders=ENCODERS[:1])) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"language_model": "another"},
        {"workers": {"count": 2, "threads": 1}},
        {"stages": [{"data": "d", "trains": ["connector"], "batch": 8}]},
        {"stages": [{"data": "d", "trains": ["connector", "language_model"], "batch": 4}]},
        {"stages": []},
        {"sweep": {"connectors": [{"type": "mlp2x_gelu", "queries": 64}]}},
        {"sweep": {}},
    ],
)
def test_a_sweep_of_another_kind_tells_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    sweep(tmp_path, "1", 25, **settings)
    assert measured_pace(tmp_path, run_of()) is None


def test_lengths_learning_rates_and_names_do_not_matter(tmp_path: Path) -> None:
    sweep(tmp_path, "1", 25)
    assert measured_pace(tmp_path, run_of(stages=(stage(steps=77, lr=1.0, name="new"),))) is not None


def test_another_size_of_the_same_connector_is_another_kind(tmp_path: Path) -> None:
    sweep(tmp_path, "1", 25)
    assert measured_pace(tmp_path, run_of(connector=MlpSettings(queries=64))) is None


@pytest.mark.parametrize("spoilt", ["reports.json", "curves.json"])
def test_what_was_cut_off_while_written_tells_nothing(tmp_path: Path, spoilt: str) -> None:
    sweep(tmp_path, "1", 25)
    (tmp_path / "sweeps" / "1" / "results" / spoilt).write_text("{")
    assert measured_pace(tmp_path, run_of()) is None


def test_without_earlier_sweeps_nothing_is_told(tmp_path: Path) -> None:
    assert measured_pace(tmp_path, run_of()) is None
