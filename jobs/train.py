"""Train one model through all stages, score it and track it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class TrainSettings(Experiment):
    """An experiment, of which one model is trained."""

    variant: str | None = None
    """Train with the stages of this variant of the experiment's sweep; null for the experiment's own."""

    resume: str | None = None
    """Go on with a run that was cut off: `latest`, or the name of its folder below OUTPUT/runs."""


def main(argv: Sequence[str]) -> None:
    settings = load_settings(TrainSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        experiment = Experiment.model_construct(**{name: getattr(settings, name) for name in Experiment.model_fields})
        _train(experiment, settings.variant, settings.resume)


def _train(experiment: Experiment, variant: str | None, resume: str | None) -> None:
    from opabinia.preparation import absolute_paths, check_encoders, claim_output, prepare

    experiment = absolute_paths(experiment)
    check_encoders(experiment.encoders, "encoders")
    claim_output(experiment)

    from opabinia.evaluation.report import to_json
    from opabinia.evaluation.table import render_table
    from opabinia.run_folders import RUN, cut_off_folder, new_folder
    from opabinia.runs import single_run
    from opabinia.storage.atomic import whole_file
    from opabinia.sweeps.driver import run_trials
    from opabinia.sweeps.planning.waiting import say_what_is_awaited
    from opabinia.sweeps.publish import publish_trial
    from opabinia.tracking.mlflow_runs import open_sweep, run_page
    from opabinia.training.inputs import load_inputs

    experiment.stages_of(variant)
    begun = None if resume is None else cut_off_folder(RUN, experiment, resume)
    join_ray()
    say_what_is_awaited(experiment.workers)
    folder = begun or new_folder(RUN, experiment)
    run = single_run(experiment, prepare(experiment, experiment.encoders), variant)
    tracking = experiment.tracking
    tracked = open_sweep(
        tracking.uri, tracking.experiment, run.name, sweep_id=f"{run.name}-{folder.name}",
        params={**dict(run), "rejected": load_inputs(run.inputs).rejected},
        files=[folder / "experiment.yaml"],
    )  # fmt: skip
    (outcome,) = run_trials([run], folder, lambda _: tracked)
    publish_trial(outcome)
    if outcome.report is None:
        raise ValueError(
            f"the run failed before its first report; its log is under {folder / 'tune'}, and --resume {folder.name} goes on with it"
        )
    if outcome.failed:
        print(f"the run failed; --resume {folder.name} goes on with it")
    else:
        with whole_file(folder / RUN.result) as handle:
            handle.write(to_json(outcome.report).encode())
    print(f"\n{render_table([outcome.report])}\n\ncheckpoint  {outcome.checkpoint}")
    print(f"MLflow      {run_page(tracking.uri, tracked.run_id)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
