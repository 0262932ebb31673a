"""Train one model through all stages, score it and track it."""

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
        _train(experiment)


def _train(experiment: Experiment) -> None:
    from opabinia.preparation import absolute_paths, check_encoders, claim_output, prepare

    experiment = absolute_paths(experiment)
    check_encoders(experiment.encoders, "encoders")
    claim_output(experiment)

    from opabinia.evaluation.table import render_table
    from opabinia.runs import single_run
    from opabinia.sweeps.driver import run_trials
    from opabinia.sweeps.publish import publish_trial
    from opabinia.tracking.mlflow_runs import open_sweep, run_page
    from opabinia.training.inputs import load_inputs

    join_ray()
    started = time.strftime("%Y%m%d-%H%M%S")
    folder = experiment.output / "runs" / started
    folder.mkdir(parents=True)
    write_settings(experiment, folder / "experiment.yaml")
    run = single_run(experiment, prepare(experiment, experiment.encoders))
    tracking = experiment.tracking
    tracked = open_sweep(
        tracking.uri, tracking.experiment, run.name, sweep_id=f"{run.name}-{started}",
        params={**dict(run), "rejected": load_inputs(run.inputs).rejected},
        files=[folder / "experiment.yaml"],
    )  # fmt: skip
    (outcome,) = run_trials([run], folder, lambda _: tracked)
    publish_trial(outcome, Path(run.benchmark.images))
    if outcome.report is None:
        raise ValueError(f"the run failed before its first report; its log is under {folder / 'tune'}")
    print(f"\n{render_table([outcome.report])}\n\ncheckpoint  {outcome.checkpoint}")
    print(f"MLflow      {run_page(tracking.uri, tracked.run_id)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
