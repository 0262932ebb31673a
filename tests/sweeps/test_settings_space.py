"""Settings that a search chooses: only where they exist, under names that tell them, refused where they are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.experiment import Experiment
from opabinia.runs import sweep_runs
from opabinia.sweeps.searching.ranges import Value
from opabinia.sweeps.settings_space import with_connector_settings, with_stage_settings
from opabinia.sweeps.space import SweepConfig, axes_of, search_text, trials, trials_at
from opabinia.training.inputs import TrainingInputs, save_inputs
from opabinia.training.optimisation.learning_rate import peak_learning_rate
from opabinia.training.run import RunConfig

QUICKSTART = Path(__file__).parents[2] / "jobs" / "experiments" / "quickstart.yaml"
CHOICES = {"connector.sva.depth": [1, 2], "stages.align.batch": [32, 128]}
LR = {"stages.align.lr": {"low": 1e-4, "high": 1e-2, "log": True}}


def experiment(space: dict[str, Any], **sweep: Any) -> Experiment:
    document = yaml.safe_load(QUICKSTART.read_text())
    document["sweep"] |= {"encoder_sets": [["burgess/mim-vit"]], "pool": [], "space": space, **sweep}
    return Experiment.model_validate(document)


def config(space: dict[str, Any], **sweep: Any) -> SweepConfig:
    found = experiment(space, **sweep).sweep
    assert found is not None
    return found


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.json"
    save_inputs(TrainingInputs(tokenizer=Path(), audits={}, rejected={}, benchmark_keys={}, features=None), path)
    return path


def swept(inputs: Path, of: Experiment) -> dict[str, RunConfig]:
    runs, left_out = sweep_runs(of, inputs)
    assert not left_out
    return {run.name: run for run in runs}


def test_a_grid_has_every_choice_of_the_settings_that_a_trial_has(inputs: Path) -> None:
    assert list(swept(inputs, experiment(CHOICES))) == [
        "mim-vit.mlp2x_gelu,align.batch=32.s0",
        "mim-vit.mlp2x_gelu,align.batch=128.s0",
        *(f"mim-vit.sva,depth={depth},align.batch={batch}.s0" for depth in (1, 2) for batch in (32, 128)),
    ]


def test_a_trial_is_trained_with_what_its_name_says(inputs: Path) -> None:
    run = swept(inputs, experiment(CHOICES))["mim-vit.sva,depth=2,align.batch=128.s0"]
    assert run.model.connector == SvaSettings(queries=16, depth=2)
    assert [stage.batch for stage in run.stages] == [128, 32]
    assert run.connector_label == "sva,depth=2,align.batch=128"


def test_rates_given_at_the_base_batch_follow_the_batch_of_each_trial(inputs: Path) -> None:
    """lr·√(batch/base_batch), by hand: quickstart's 2e-3 at 32."""
    runs = swept(inputs, experiment(CHOICES))
    rates = {
        batch: peak_learning_rate(runs[f"mim-vit.mlp2x_gelu,align.batch={batch}.s0"].stages[0], "connector")
        for batch in (32, 128)
    }
    assert rates == {32: pytest.approx(2e-3), 128: pytest.approx(4e-3)}


def test_a_rate_that_is_drawn_is_one_at_the_base_batch_too(inputs: Path) -> None:
    space = {**LR, "stages.align.batch": [8, 512]}
    runs = swept(inputs, experiment(space, search={"type": "random", "samples": 20}))
    assert {run.stages[0].batch for run in runs.values()} == {8, 512}
    for run in runs.values():
        align = run.stages[0]
        assert f"align.lr={align.lr:g}" in run.name
        assert align.base_batch == 32
        assert peak_learning_rate(align, "connector") == pytest.approx(align.lr * {8: 0.5, 512: 4.0}[align.batch])


def test_a_random_search_draws_from_ranges_and_more_samples_are_the_fewer_ones_and_others() -> None:
    few, more = (config(LR, search={"type": "random", "samples": samples}) for samples in (6, 9))
    names = [[trial.name for trial in trials(one)] for one in (few, more)]
    assert len(set(names[0])) == 6 and len(set(names[1])) == 9
    assert names[1][:6] == names[0]
    assert {trial.connector.type for trial in trials(more)} == {"sva", "mlp2x_gelu"}
    assert [trial.name for trial in trials(config(LR, search={"type": "random", "samples": 6, "seed": 1}))] != names[0]
    assert search_text(few) == "random: 6 of no end of configurations, drawn with seed 0"


def test_a_random_search_of_choices_is_some_of_the_grid() -> None:
    drawn = {trial.name for trial in trials(config(CHOICES, search={"type": "random", "samples": 4}))}
    assert len(drawn) == 4
    assert drawn < {trial.name for trial in trials(config(CHOICES))}


def test_of_trials_that_are_not_known_the_ends_are_listed(inputs: Path) -> None:
    space = {**CHOICES, **LR}
    of = experiment(space, search={"type": "tpe", "samples": 7}, repeats=2, seeds=None)
    assert [run for run in swept(inputs, of) if run.endswith(".s0")] == [
        "mim-vit.mlp2x_gelu,align.batch=32,align.lr=0.0001.s0",
        "mim-vit.mlp2x_gelu,align.batch=128,align.lr=0.01.s0",
        "mim-vit.sva,depth=1,align.batch=32,align.lr=0.0001.s0",
        "mim-vit.sva,depth=2,align.batch=128,align.lr=0.01.s0",
    ]


def test_without_settings_a_tpe_search_lists_each_configuration_once() -> None:
    one = config({}, search={"type": "tpe", "samples": 7})
    assert [trial.name for trial in trials(one)] == ["mim-vit.mlp2x_gelu.s0", "mim-vit.sva.s0"]


def test_the_trials_of_a_point_are_those_of_its_seeds() -> None:
    one = config({**CHOICES, **LR}, search={"type": "tpe", "samples": 7}, seeds=[0, 3])
    point = {"encoders": "burgess/mim-vit", "connector": "sva", "connector.sva.depth": 2, "stages.align.lr": 0.00123}
    names = [trial.name for trial in trials_at(one, point)]
    assert names == ["mim-vit.sva,depth=2,align.lr=0.00123.s0", "mim-vit.sva,depth=2,align.lr=0.00123.s3"]
    with pytest.raises(LookupError):
        trials_at(one, {**point, "encoders": "burgess/caption-vit"})


def test_a_variant_has_the_settings_of_its_own_stages() -> None:
    stage = {"name": "once", "data": "instruction", "trains": ["connector"], "steps": 9, "batch": 8, "lr": 1e-3,
             "base_batch": 8, "reports": 3}  # fmt: skip
    variants = {
        "one": {"stages": [stage]},
        "two": {"stages": [{**stage, "name": "first"}, {**stage, "name": "second"}]},
    }
    space = {"stages.once.lr": [1e-3, 2e-3], "stages.second.floor": [0, 0.1]}
    one = config(space, variants=variants, connectors=[{"type": "sva"}])
    assert [trial.label for trial in trials(one)] == [
        "sva,one,once.lr=0.001",
        "sva,one,once.lr=0.002",
        "sva,two,second.floor=0",
        "sva,two,second.floor=0.1",
    ]
    assert axes_of(one).variants == {"one": {"once"}, "two": {"first", "second"}}


def test_settings_that_do_not_agree_leave_their_trial_out(inputs: Path) -> None:
    runs, left_out = sweep_runs(experiment({"connector.sva.heads": [4, 3]}), inputs)
    assert "mim-vit.sva,heads=4.s0" in [run.name for run in runs]
    assert [(one.trial, one.reason) for one in left_out] == [
        ("mim-vit.sva,heads=3.s0", "heads: 3 does not divide width 128")
    ]


def test_a_connector_takes_no_settings_of_another() -> None:
    settings: dict[str, Value] = {"connector.sva.depth": 2, "stages.align.lr": 1e-3}
    assert with_connector_settings(MlpSettings(), settings) == MlpSettings()
    assert with_connector_settings(SvaSettings(queries=4), settings) == SvaSettings(queries=4, depth=2)


def test_steps_take_the_place_of_epochs() -> None:
    align, instruct = experiment({}).stages
    align = align.model_copy(update={"steps": None, "epochs": 0.5})
    stages = with_stage_settings([align, instruct], {"stages.align.steps": 7})
    assert [(stage.steps, stage.epochs) for stage in stages] == [(7, None), (instruct.steps, None)]


def test_experiments_without_a_space_are_the_same_text_as_before() -> None:
    assert "space" not in config({}).model_dump(mode="json")


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"conector.sva.depth": [1]}, "space.conector.sva.depth: unknown part 'conector'; did you mean 'connector'"),
        ({"connector.svaa.depth": [1]}, "unknown connector of this sweep 'svaa'; did you mean 'sva'"),
        ({"connector.resampler.depth": [1]}, "unknown connector of this sweep 'resampler'"),
        ({"connector.sva.dept": [1]}, "space.connector.sva.dept: unknown setting of sva 'dept'; did you mean 'depth'"),
        ({"connector.sva.type": ["sva"]}, "unknown setting of sva 'type'"),
        ({"connector.sva.queries": [15]}, "space.connector.sva.queries: 15: .*is not a square"),
        ({"connector.sva.depth": []}, "space.connector.sva.depth: no value"),
        ({"connector.sva.depth": [1, 2, 1]}, "space.connector.sva.depth: 1 is listed twice"),
        ({"stages.align.rate": [1]}, "unknown setting of a stage 'rate'"),
        ({"stages.align.base_batch": [8]}, "unknown setting of a stage 'base_batch'"),
        (LR, "space.stages.align.lr: a range has no end of values for grid to run"),
    ],
)
def test_what_is_no_setting_is_refused(space: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        experiment(space)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"stages.algin.lr": [1e-3]}, "sweep.space.stages.algin.lr: unknown stage 'algin'; did you mean 'align'"),
        ({"stages.align.lr": [-1.0]}, "sweep.space.stages.align.lr: -1: Input should be greater than 0"),
        ({"stages.align.schedule": ["cosin"]}, "sweep.space.stages.align.schedule: cosin: Input should be"),
    ],
)
def test_what_is_no_stage_is_refused(space: dict[str, Any], said: str, inputs: Path) -> None:
    with pytest.raises(ValueError, match=said):
        sweep_runs(experiment(space), inputs)


def test_a_setting_in_which_connectors_differ_already_is_refused() -> None:
    connectors = [{"type": "sva", "depth": 1}, {"type": "sva", "depth": 2}]
    with pytest.raises(ValidationError, match=r"space.connector.sva.depth: connectors differ in depth already"):
        experiment(CHOICES, connectors=connectors)
