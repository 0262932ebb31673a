"""From an experiment to the plan of its sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from opabinia.experiment import Experiment
from opabinia.preparation import features_folder, used_sources
from opabinia.runs import sweep_runs
from opabinia.sweeps.planning.machines import Machines, see_machines
from opabinia.sweeps.planning.plan import SweepPlan, plan_sweep
from opabinia.sweeps.planning.rates import rate_table
from opabinia.sweeps.planning.workload import Workloads, look_at_data
from opabinia.training.recipe.stages import WrittenStage


def plan_experiment(experiment: Experiment, rates: Path | None, machines: Machines | None = None) -> SweepPlan:
    """Look, count and estimate; nothing is written, rendered, audited or encoded. rates: a table in place of ours.
    machines: those to plan for; None for those that there are.

    Raises ValueError where no trial can be trained, or none can ever be placed on the machines that there are.
    """
    if experiment.sweep is None:
        raise ValueError("sweep: missing; add one, or train a single run with jobs/train.py")
    table, machines = rate_table(rates), machines or see_machines()
    inputs, world = experiment.output / "inputs.json", experiment.world
    names = used_sources(experiment)
    workloads = look_at_data(experiment.data, names, experiment.benchmark, inputs, world.scenes if world else None)
    _check_epochs(experiment, workloads)
    runs, left_out = sweep_runs(experiment, inputs, workloads.records())
    return plan_sweep(
        experiment.name, runs, workloads, machines, table, config=experiment.sweep, output=experiment.output,
        features=features_folder(experiment), left_out=left_out,
    )  # fmt: skip


def _check_epochs(experiment: Experiment, workloads: Workloads) -> None:
    known = workloads.records()
    for variant, place, stage in _stages(experiment):
        if stage.epochs is not None and stage.data not in known:
            prefix = "" if variant is None else f"sweep.variants.{variant}."
            raise ValueError(
                f"{prefix}stages.{place}.epochs: how many records data.sources.{stage.data} has is not known, since no shard of it is "
                f"there; write it first, say how many with data.sources.{stage.data}.records, or give steps"
            )


def _stages(experiment: Experiment) -> Iterator[tuple[str | None, int, WrittenStage]]:
    for variant, stages in experiment.swept_stages.items():
        for place, stage in enumerate(stages):
            yield variant, place, stage
