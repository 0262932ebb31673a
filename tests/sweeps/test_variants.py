"""A sweep compares ways to train: each variant has stages of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from opabinia.experiment import Experiment
from opabinia.preparation import frozen_anywhere, used_sources
from opabinia.runs import single_run, sweep_runs
from opabinia.training.inputs import TrainingInputs, save_inputs
from opabinia.training.run import RunConfig

QUICKSTART = Path(__file__).parents[2] / "jobs" / "experiments" / "quickstart.yaml"
INSTRUCT: dict[str, Any] = {
    "name": "instruct",
    "data": "instruction",
    "trains": ["connector", "language_model"],
    "steps": 12,
    "batch": 8,
    "lr": 1e-3,
    "base_batch": 8,
    "reports": 3,
}
UNFROZEN = {**INSTRUCT, "trains": ["connector", "language_model", "encoders"]}
VARIANTS = {"one_stage": {"stages": [INSTRUCT]}, "unfrozen": {"stages": [UNFROZEN]}}
SETS = [["burgess/caption-vit"], ["burgess/mim-vit"]]


def experiment(variants: dict[str, Any] = VARIANTS, **changes: Any) -> Experiment:
    document = yaml.safe_load(QUICKSTART.read_text())
    document["sweep"] |= {"encoder_sets": SETS, "pool": [], "variants": variants}
    return Experiment.model_validate(document | changes)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.json"
    save_inputs(TrainingInputs(tokenizer=Path(), audits={}, rejected={}, benchmark_keys={}, features=None), path)
    return path


def swept(inputs: Path, of: Experiment) -> dict[str, RunConfig]:
    runs, left_out = sweep_runs(of, inputs)
    assert not left_out
    return {run.name: run for run in runs}


def test_every_configuration_is_trained_in_every_way(inputs: Path) -> None:
    runs = swept(inputs, experiment())
    assert len(runs) == 2 * 2 * 2
    one, other = (runs[f"mim-vit.sva,{variant}.s0"] for variant in VARIANTS)
    assert one.model == other.model
    assert [stage.name for stage in one.stages] == ["instruct"]
    assert [stage.trains for stage in other.stages] == [("connector", "language_model", "encoders")]
    assert (one.variant, other.connector_label) == ("one_stage", "sva,unfrozen")


def test_without_variants_the_experiments_own_stages_are_trained(inputs: Path) -> None:
    runs = swept(inputs, experiment({}))
    assert len(runs) == 2 * 2
    assert {run.variant for run in runs.values()} == {None}
    assert [stage.name for stage in runs["mim-vit.sva.s0"].stages] == ["align", "instruct"]


def test_a_published_recipe_can_be_a_variant(inputs: Path) -> None:
    change = {"name": "instruct", "steps": 12, "batch": 8, "reports": 2}
    runs = swept(inputs, experiment({"study": {"recipe": "cambrian_one_stage", "stages": [change]}}, seed=0))
    (stage,) = runs["mim-vit.sva,study.s0"].stages
    assert (stage.lr, stage.base_batch, stage.batch, stage.steps) == (2e-5, 512, 8, 12)


def test_a_single_run_is_trained_as_one_of_its_variants(inputs: Path) -> None:
    one = single_run(experiment(encoders=SETS[0]), inputs, "one_stage")
    assert one.stages == swept(inputs, experiment())["caption-vit.sva,one_stage.s0"].stages
    with pytest.raises(ValueError, match=r"variant: unknown variant 'one_stag'; did you mean 'one_stage'"):
        single_run(experiment(encoders=SETS[0]), inputs, "one_stag")


def test_encoders_have_stored_features_where_some_variant_leaves_them_frozen() -> None:
    encoders = ("burgess/caption-vit", "burgess/mim-vit")
    assert frozen_anywhere(experiment(), encoders) == encoders
    own = experiment({"unfrozen": VARIANTS["unfrozen"]}, stages=[UNFROZEN])
    assert frozen_anywhere(own, encoders) == ()


def test_the_data_of_all_variants_are_used() -> None:
    captions = {**INSTRUCT, "name": "captions", "data": "alignment"}
    assert used_sources(experiment({"captions": {"stages": [captions]}}, stages=[INSTRUCT])) == [
        "instruction",
        "alignment",
    ]


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        (
            {"a": {"stages": [{**INSTRUCT, "data": "instructions"}]}},
            "sweep.variants.a.stages.0.data: unknown data source",
        ),
        (
            {"a": {"stages": [INSTRUCT, INSTRUCT]}},
            "sweep.variants.a.stages.1.name: 'instruct' names sweep.variants.a.stages.0",
        ),
        ({"a": {"stages": [{**INSTRUCT, "reports": 1}]}}, "sweep.scheduler.grace: 2 is more than the 1 reports"),
        ({"A b": {"stages": [INSTRUCT]}}, "variants.A b: names trials and folders; use small letters"),
        ({"a": {"stages": []}}, "at least 1 item"),
    ],
)
def test_a_variant_that_cannot_be_trained_is_named(variants: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        experiment(variants)
    assert said in str(refused.value)
