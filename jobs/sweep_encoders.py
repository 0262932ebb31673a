"""Sweep encoder sets and connectors: train every combination, score it, track it, and crown the best."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors, write_settings
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


def main(argv: Sequence[str]) -> None:
    experiment = load_settings(Experiment, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        _sweep(experiment)


def _sweep(experiment: Experiment) -> None:
    from opabinia.preparation import absolute_paths, check_sweep, claim_output, prepare

    experiment = absolute_paths(experiment)
    encoders = check_sweep(experiment)
    claim_output(experiment)

    from opabinia.evaluation.table import render_table
    from opabinia.runs import sweep_runs
    from opabinia.sweeps.sweep import run_sweep
    from opabinia.tracking.mlflow_runs import run_page

    join_ray()
    started = time.strftime("%Y%m%d-%H%M%S")
    folder = experiment.output / "sweeps" / started
    folder.mkdir(parents=True)
    write_settings(experiment, folder / "experiment.yaml")
    inputs = prepare(experiment, encoders)
    assert experiment.sweep is not None
    result = run_sweep(
        experiment.name, f"{experiment.name}-{started}", sweep_runs(experiment, inputs), experiment.sweep,
        experiment.tracking, folder, folder / "experiment.yaml",
    )  # fmt: skip
    print(f"\n{render_table(result.reports)}\n")
    print(f"results   {folder / 'results'}")
    print(f"MLflow    {run_page(experiment.tracking.uri, result.parent.run_id)}")
    if result.champion is None:
        raise ValueError(
            f"sweep: no trial finished, so there is no champion; the trials' logs are under {folder / 'tune'}"
        )
    print(
        f"champion  {result.champion.trial_id}: {result.champion.score:.1f} %\n\nnext: make ui, make serve", flush=True
    )


if __name__ == "__main__":
    main(sys.argv[1:])
