"""From an experiment to the training runs it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from opabinia.data.audited import open_audited
from opabinia.experiment import Experiment
from opabinia.models.multimodal_config import ModelConfig
from opabinia.sweeps.possible import LeftOut, reason_of
from opabinia.sweeps.searching.points import Point
from opabinia.sweeps.settings_space import check_stages, with_connector_settings, with_stage_settings
from opabinia.sweeps.space import TrialSpec, trials, trials_at
from opabinia.training.inputs import load_inputs
from opabinia.training.recipe.stages import stages_of_run
from opabinia.training.run import RunConfig


def single_run(experiment: Experiment, inputs: Path, variant: str | None = None) -> RunConfig:
    """The run of the experiment's own encoders and connector, with the stages of a variant of its sweep where one is named.

    Raises ValueError when it names no encoder, or there is no such variant.
    """
    if not experiment.encoders:
        raise ValueError("encoders: empty; name at least one vision encoder")
    label = experiment.connector.type
    trial = TrialSpec(experiment.encoders, experiment.connector, experiment.seed, experiment.name, label, variant)
    return _run(experiment, inputs, _records(inputs), trial)


def sweep_runs(
    experiment: Experiment, inputs: Path, records: Mapping[str, int] | None = None
) -> tuple[list[RunConfig], list[LeftOut]]:
    """One run for each trial of the sweep whose settings agree with each other, and the trials whose settings do not.

    records: how many each data source has, where `inputs` is not there yet. Raises ValueError when the experiment has no sweep, or
    no trial's settings agree.
    """
    if experiment.sweep is None:
        raise ValueError("sweep: missing; add one, or train a single run with jobs/train.py")
    check_stages(experiment.sweep.space, (stage for stages in experiment.swept_stages.values() for stage in stages))
    records = _records(inputs) if records is None else records
    runs: list[RunConfig] = []
    left_out: list[LeftOut] = []
    for trial in trials(experiment.sweep, experiment.seed):
        try:
            runs.append(_run(experiment, inputs, records, trial))
        except ValueError as error:
            left_out.append(LeftOut(trial.name, reason_of(error)))
    if not runs:
        raise ValueError(left_out[0].reason)
    return runs, left_out


def drawn_runs(experiment: Experiment, inputs: Path, point: Point) -> list[RunConfig]:
    """The runs of a point that the sweep's search drew, one a seed.

    Raises ValueError where they cannot be trained, LookupError where the sweep does not have that point.
    """
    from opabinia.sweeps.planning.trainable import trainable

    assert experiment.sweep is not None
    specs, records = trials_at(experiment.sweep, point, experiment.seed), _records(inputs)
    runs, _ = trainable([_run(experiment, inputs, records, trial) for trial in specs])
    return runs


def _run(experiment: Experiment, inputs: Path, records: Mapping[str, int], trial: TrialSpec) -> RunConfig:
    stages = with_stage_settings(experiment.stages_of(trial.variant), trial.settings)
    return RunConfig(
        name=trial.name,
        seed=trial.seed,
        model=ModelConfig(
            encoders=trial.encoders,
            connector=with_connector_settings(trial.connector, trial.settings),
            language_model=experiment.language_model,
            lora=experiment.lora,
        ),
        connector_label=trial.label,
        variant=trial.variant,
        data=experiment.data,
        stages=stages_of_run(stages, trial.encoders, records),
        benchmark=experiment.benchmark,
        inputs=inputs,
        activation_checkpointing=experiment.activation_checkpointing,
        workers=experiment.workers,
        cache=experiment.cache,
        checkpoints=experiment.checkpoints,
        guard=experiment.guard,
    )


def _records(inputs: Path) -> dict[str, int]:
    """How many records of each data source can be trained on."""
    return {name: open_audited(folder).records for name, folder in load_inputs(inputs).audits.items()}
