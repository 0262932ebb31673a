"""What an experiment file must agree on with itself."""

from __future__ import annotations

from typing import Any

import pytest

from opabinia.command_line import parse_settings, settings_text, write_settings
from opabinia.experiment import Experiment

STAGE = {
    "name": "align",
    "data": "alignment",
    "trains": ["connector"],
    "steps": 1,
    "batch": 1,
    "lr": 1,
    "base_batch": 1,
}


def experiment(*stages: dict[str, Any], sweep: dict[str, Any] | None = None) -> Experiment:
    source = {"shards": "shards", "images": "images"}
    return Experiment.model_validate(
        {
            "name": "x",
            "output": "runs/x",
            "data": {"sources": {"alignment": source, "instruction": source}},
            "stages": stages,
            "benchmark": {"folder": "benchmark", "images": "images"},
            "sweep": sweep,
        }
    )


def test_a_stage_names_a_data_source_that_exists() -> None:
    with pytest.raises(
        ValueError, match=r"stages\.1\.data: unknown data source 'instuction'; did you mean 'instruction'"
    ):
        experiment(STAGE, {**STAGE, "name": "instruct", "data": "instuction"})


def test_stages_have_different_names() -> None:
    with pytest.raises(ValueError, match=r"stages\.1\.name: 'align' names stages\.0 already; choose another"):
        experiment(STAGE, STAGE)


def test_there_is_at_least_one_stage() -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        experiment()


def test_a_rate_belongs_to_a_part_that_the_stage_trains() -> None:
    with pytest.raises(ValueError, match=r"learning_rates\.language_model: not trained in this stage"):
        experiment({**STAGE, "learning_rates": {"language_model": 1e-4}})


def test_a_part_is_trained_once() -> None:
    with pytest.raises(ValueError, match="trains: a part is listed twice"):
        experiment({**STAGE, "trains": ["connector", "connector"]})


def test_an_experiment_reads_back_from_its_own_file(tmp_path: Any) -> None:
    written = experiment(STAGE, {**STAGE, "name": "instruct", "learning_rates": {"connector": 1e-7}})
    write_settings(written, tmp_path / "x.yaml")
    assert parse_settings(Experiment, ["--config", str(tmp_path / "x.yaml")]) == written
    assert (tmp_path / "x.yaml").read_text() == settings_text(written)


def test_a_scheduler_that_could_never_act_is_refused() -> None:
    sweep = {"pool": ["a"], "connectors": [{"type": "sva"}], "scheduler": {"grace": 3}}
    with pytest.raises(ValueError, match=r"sweep\.scheduler\.grace: 3 is more than the 1 reports that the stages give"):
        experiment(STAGE, sweep=sweep)
    assert experiment(STAGE, sweep={**sweep, "scheduler": None}).sweep is not None
