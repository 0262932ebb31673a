"""Sweep encoder sets and connectors: train every combination, score it, track it, and crown the best."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import model_validator

from opabinia.cluster.joining import join_ray
from opabinia.command_line import load_settings, plain_errors
from opabinia.experiment import Experiment
from opabinia.sweeps.settings_space import check_stages

if TYPE_CHECKING:
    from opabinia.sweeps.possible import LeftOut
    from opabinia.training.run import RunConfig

_DEFAULT = Path(__file__).parent / "experiments" / "quickstart.yaml"


class SweepSettings(Experiment):
    """An experiment, of which the sweep is run or only planned."""

    resume: str | None = None
    """Go on with a sweep that was cut off: `latest`, or the name of its folder below OUTPUT/sweeps. What ended is not run again."""

    extend: str | None = None
    """Add to a sweep, ended or not, the trials that this experiment's sweep lists beyond those it has; named like resume."""

    plan: bool = False
    """Start nothing: say which trials there are, what each takes, how many fit at once, and what all cost in time and money."""

    log_plan: bool = False
    """Leave the plan in MLflow too."""

    rates: Path | None = None
    """A table of devices' speeds and prices for the plan, like the one that ships (rates.yaml), or null for that."""

    @model_validator(mode="after")
    def _goes_on_in_one_way(self) -> SweepSettings:
        if self.resume is not None and self.extend is not None:
            raise ValueError("extend: goes on with a sweep that was cut off too; leave resume out")
        return self

    @model_validator(mode="after")
    def _space_names_its_stages(self) -> SweepSettings:
        if self.sweep is not None:
            check_stages(self.sweep.space, (stage for stages in self.swept_stages.values() for stage in stages))
        return self


def main(argv: Sequence[str]) -> None:
    settings = load_settings(SweepSettings, argv, description=__doc__ or "", default_file=_DEFAULT)
    with plain_errors():
        experiment = Experiment.model_construct(**{name: getattr(settings, name) for name in Experiment.model_fields})
        if settings.plan or settings.log_plan:
            _plan(experiment, settings.rates, log=settings.log_plan)
        else:
            _sweep(experiment, settings.resume, settings.extend)


def _plan(experiment: Experiment, rates: Path | None, *, log: bool) -> None:
    from opabinia.preparation import absolute_paths, check_sweep

    experiment = absolute_paths(experiment)
    check_sweep(experiment)

    from opabinia.sweep_plan import plan_experiment
    from opabinia.sweeps.planning.report import render_plan

    plan = plan_experiment(experiment, rates)
    text = render_plan(plan)
    print(text, flush=True)
    if log:
        from opabinia.sweeps.planning.log import log_plan
        from opabinia.tracking.mlflow_runs import run_page

        tracked = log_plan(plan, text, experiment.tracking)
        print(f"MLflow    {run_page(experiment.tracking.uri, tracked.run_id)}", flush=True)


def _sweep(experiment: Experiment, resume: str | None, extend: str | None) -> None:
    from opabinia.preparation import absolute_paths, check_sweep, claim_output, prepare

    experiment = absolute_paths(experiment)
    encoders = check_sweep(experiment)
    claim_output(experiment)

    from opabinia.evaluation.table import render_table, short_names
    from opabinia.run_folders import SWEEP, cut_off_folder, extended_folder, new_folder
    from opabinia.runs import drawn_runs, sweep_runs
    from opabinia.sweeps.page.page import PAGE
    from opabinia.sweeps.planning.waiting import say_what_is_awaited
    from opabinia.sweeps.sweep import run_sweep
    from opabinia.tracking.mlflow_runs import run_page

    begun = None if resume is None else cut_off_folder(SWEEP, experiment, resume)
    join_ray()
    say_what_is_awaited(experiment.workers)
    folder = begun or (new_folder(SWEEP, experiment) if extend is None else extended_folder(experiment, extend))
    inputs = prepare(experiment, encoders)
    assert experiment.sweep is not None
    runs = _possible(*sweep_runs(experiment, inputs))
    result = run_sweep(
        experiment.name, f"{experiment.name}-{folder.name}", runs, experiment.sweep,
        experiment.tracking, folder, folder / "experiment.yaml", partial(drawn_runs, experiment, inputs),
    )  # fmt: skip
    print(f"\n{render_table(result.reports, result.intervals)}\n")
    for selection in result.selections:
        path = " → ".join(short_names(encoders) for encoders in selection.path)
        print(f"selected  {selection.label}: {path}")
    print(f"results   {folder / 'results'}")
    print(f"page      {folder / 'results' / PAGE}")
    print(f"MLflow    {run_page(experiment.tracking.uri, result.parent.run_id)}")
    if result.champion is None:
        raise ValueError(
            f"sweep: no trial finished, so there is no champion; the trials' logs are under {folder / 'tune'}"
        )
    print(
        f"champion  {result.champion.trial_id}: {result.champion.score:.1f} %\n\nnext: make ui, make serve", flush=True
    )


def _possible(runs: list[RunConfig], left_out: list[LeftOut]) -> list[RunConfig]:
    from opabinia.sweeps.planning.trainable import trainable
    from opabinia.sweeps.possible import say_left_out

    kept, more = trainable(runs)
    for line in say_left_out([*left_out, *more]):
        print(line, flush=True)
    return kept


if __name__ == "__main__":
    main(sys.argv[1:])
