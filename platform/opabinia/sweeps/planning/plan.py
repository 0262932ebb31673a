"""A sweep's plan: its trials, what each takes, how many run at once, and what all of it costs, by estimate."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from opabinia.sweeps.duplicates import duplicates
from opabinia.sweeps.planning.arithmetic import trial_arithmetic
from opabinia.sweeps.planning.caching import EncoderPlan, plan_encoders, too_large
from opabinia.sweeps.planning.demand import Demand, at_once, demand_of, missing_now, never_fits
from opabinia.sweeps.planning.machines import Machines
from opabinia.sweeps.planning.rates import DeviceRate, RateTable
from opabinia.sweeps.planning.timing import Configuration, configurations, rate_of
from opabinia.sweeps.planning.trainable import configuration_of, examined
from opabinia.sweeps.planning.workload import Workloads
from opabinia.sweeps.possible import LeftOut
from opabinia.sweeps.space import SweepConfig, drawn_trials, search_text
from opabinia.training.recipe.learning_encoders import frozen_encoders
from opabinia.training.run import RunConfig


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """configurations: that can be trained. left_out: trials that cannot. duplicates: settings that say again what others say.

    demand: of a trial. at_once: trials. waits: what is missing now on a cluster that can grow, or None. device, rate: the tabulated
    one, None where the table has none. stops_early: whether a scheduler ends weak trials.
    search: what it leaves out, for people. read_bytes_per_second: tabulated, of features from disk. too_large: why their
    table cannot be filled, or None.
    """

    name: str
    configurations: tuple[Configuration, ...]
    left_out: tuple[LeftOut, ...]
    duplicates: tuple[str, ...]
    machines: Machines
    demand: Demand
    at_once: int
    waits: str | None
    device: str
    rate: DeviceRate | None
    encoders: tuple[EncoderPlan, ...]
    workloads: Workloads
    stops_early: bool
    search: str | None
    read_bytes_per_second: float
    too_large: str | None
    draws: int | None = None
    """The most trials of a search that draws them while they are trained; sums are then of so many of the dearest trial."""

    @property
    def trials(self) -> int:
        return self.draws or sum(len(one.runs) for one in self.configurations)

    @property
    def flops(self) -> float:
        if self.draws is not None:
            return self.draws * max(one.arithmetic.flops for one in self.configurations)
        return sum(len(one.runs) * one.arithmetic.flops for one in self.configurations)

    @property
    def cheapest(self) -> SweepPlan:
        """The same plan, of the cheapest configuration alone."""
        return replace(self, configurations=(min(self.configurations, key=_cost),))

    @property
    def trial_seconds(self) -> list[float] | None:
        """Of each trial, in their order."""
        seconds = [(one.seconds, len(one.runs)) for one in self.configurations]
        if self.draws is not None:
            seconds = [(max(self.configurations, key=_cost).seconds, self.draws)]
        return None if any(s is None for s, _ in seconds) else [s or 0.0 for s, count in seconds for _ in range(count)]

    @property
    def encoding_device_seconds(self) -> float | None:
        """To fill the feature table."""
        if not self.configurations[0].runs[0].cache.enabled:
            return 0.0
        parts = [(e.missing, e.encode_s) for e in self.encoders if not e.learns]
        if any(missing is None or seconds is None for missing, seconds in parts):
            return None
        return sum((missing or 0) * (seconds or 0.0) for missing, seconds in parts)

    @property
    def device_hours(self) -> float | None:
        """Of GPUs, TPU chips or CPU cores that are held, for trials and features."""
        seconds, encoding = self.trial_seconds, self.encoding_device_seconds
        if seconds is None:
            return None
        return (sum(seconds) * self.demand.devices + (encoding or 0.0)) / 3600

    @property
    def dollars(self) -> float | None:
        hours = self.device_hours
        return None if hours is None or self.rate is None else hours * self.rate.dollars_per_hour

    @property
    def wall_seconds(self) -> float | None:
        """From start to end where nothing is stopped early: features first, then trials, `at_once` at a time."""
        seconds, encoding = self.trial_seconds, self.encoding_device_seconds
        if seconds is None:
            return None
        devices = max(1.0, self.machines.total(self.demand.device))
        return (encoding or 0.0) / devices + makespan(seconds, max(1, self.at_once))


def plan_sweep(
    name: str,
    runs: Sequence[RunConfig],
    workloads: Workloads,
    machines: Machines,
    rates: RateTable,
    *,
    config: SweepConfig,
    output: Path,
    features: Path,
    left_out: Iterable[LeftOut] = (),
) -> SweepPlan:
    """Plan these runs, which share all but model and seed. output: of the experiment, where earlier sweeps are. features: the table's
    folder. Raises ValueError where no trial can be trained, or none can ever be placed on the machines.
    """
    if never := never_fits(demand := demand_of(runs[0].workers, machines), machines):
        raise ValueError(never)
    kept, refused = examined(runs, lambda run: trial_arithmetic(run, workloads))
    if not kept:
        raise ValueError(f"sweep: no trial can be trained; {refused[0].trial}: {refused[0].reason}")
    groups = [[run for run in runs if configuration_of(run) == one] for one in kept]
    device, rate = rate_of(demand, machines, rates)
    flops_per_second = rate.flops_per_second(float32=runs[0].workers.precision == "float32") if rate else None
    timed = configurations(groups, list(kept.values()), output, demand, flops_per_second, rates.start_up_seconds)
    encoders = plan_encoders(
        _shown(timed, workloads, drawn_trials(config)), _learning(timed), workloads, features, runs[0].cache,
        flops_per_second=flops_per_second, read_bytes_per_second=rates.read_mb_per_second * 1e6,
    )  # fmt: skip
    return SweepPlan(
        name, timed, (*left_out, *refused), duplicates(config), machines, demand,
        at_once(demand, machines, config.max_concurrent), missing_now(demand, machines), device, rate, tuple(encoders),
        workloads, config.scheduler is not None, search_text(config), rates.read_mb_per_second * 1e6,
        too_large(encoders, features, runs[0].cache) if runs[0].cache.enabled else None, drawn_trials(config),
    )  # fmt: skip


def makespan(seconds: Sequence[float], at_once: int) -> float:
    """When the last is done of tasks that are begun in their order, so many at a time."""
    free = [0.0] * at_once
    for needed in seconds:
        heapq.heapreplace(free, free[0] + needed)
    return max(free)


def _learning(timed: Sequence[Configuration]) -> set[str]:
    """The encoders that learn in every trial that has them, so that their features are of no use to any."""
    frozen = {name for one in timed for name in _frozen(one)}
    return {name for one in timed for name in one.runs[0].model.encoders} - frozen


def _cost(one: Configuration) -> tuple[float, float]:
    return one.seconds or 0.0, one.arithmetic.flops


def _shown(timed: Sequence[Configuration], workloads: Workloads, draws: int | None) -> dict[str, float]:
    """How often all trials together show each encoder a picture, while training and while scoring.

    Where an encoder learns in some of them only, how often the others do, which can read its features instead. draws: how many there
    are where those listed are not trained as they are, but such as they.
    """
    learning, shown = _learning(timed), dict[str, float]()
    weight = 1.0 if draws is None else draws / sum(len(one.runs) for one in timed)
    for one in timed:
        run = one.runs[0]
        times = weight * (one.arithmetic.pictures + run.reports * (workloads.questions or 0))
        for name in run.model.encoders:
            counts = name in learning or name in _frozen(one)
            shown[name] = shown.get(name, 0.0) + counts * len(one.runs) * times
    return shown


def _frozen(one: Configuration) -> tuple[str, ...]:
    run = one.runs[0]
    return frozen_encoders(run.stages, run.model.encoders)
