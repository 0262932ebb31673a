"""How long each trial takes: as measured in earlier sweeps, or from its operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from opabinia.sweeps.planning.arithmetic import TrialArithmetic
from opabinia.sweeps.planning.demand import Demand
from opabinia.sweeps.planning.machines import Machines, device_names
from opabinia.sweeps.planning.measured import Pace, measured_pace
from opabinia.sweeps.planning.rates import DeviceRate, RateTable
from opabinia.sweeps.planning.trainable import configuration_of
from opabinia.training.run import RunConfig

Source = Literal["measured", "scaled", "table"]
"""Seconds of the same trials in earlier sweeps; operations at the pace of other trials of those; operations at the tabulated rate."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Trials that differ in nothing but their seeds. seconds: of one of them, None where no rate is known."""

    name: str
    runs: tuple[RunConfig, ...]
    arithmetic: TrialArithmetic
    seconds: float | None
    source: Source | None


def rate_of(demand: Demand, machines: Machines, rates: RateTable) -> tuple[str, DeviceRate | None]:
    """What computes is called, and its line in the table; None where there is none."""
    if demand.device == "CPU":
        return "CPU", rates.devices.get("CPU")
    names = [demand.accelerator] if demand.accelerator else device_names(machines, demand.device)
    known = [name for name in names if name in rates.devices]
    return (known or names or [demand.device])[0], rates.devices.get(known[0]) if known else None


def configurations(
    groups: Sequence[Sequence[RunConfig]],
    arithmetic: Sequence[TrialArithmetic],
    output: Path,
    demand: Demand,
    flops_per_second: float | None,
    start_up: float,
) -> tuple[Configuration, ...]:
    """groups: runs that differ in their seed alone, whose arithmetic follows. output: of the experiment, where earlier sweeps are.

    flops_per_second: tabulated, of one device, None where there is no rate. start_up: tabulated seconds.
    """
    paces = [measured_pace(output, runs[0]) for runs in groups]
    usual = _usual(paces, arithmetic)
    timed: list[Configuration] = []
    for runs, one, pace in zip(groups, arithmetic, paces, strict=True):
        seconds, source = _seconds(one, pace, usual, demand.devices, flops_per_second, start_up)
        timed.append(Configuration(configuration_of(runs[0]), tuple(runs), one, seconds, source))
    return tuple(timed)


def _usual(paces: Sequence[Pace | None], arithmetic: Sequence[TrialArithmetic]) -> tuple[float, float] | None:
    """Seconds to start up, and operations a second, of the trials that were measured."""
    known = [(pace, one.flops / (one.steps * pace.step)) for pace, one in zip(paces, arithmetic, strict=True) if pace]
    return (median(pace.start_up for pace, _ in known), median(reached for _, reached in known)) if known else None


def _seconds(
    one: TrialArithmetic,
    pace: Pace | None,
    usual: tuple[float, float] | None,
    devices: float,
    flops_per_second: float | None,
    start_up: float,
) -> tuple[float | None, Source | None]:
    if pace:
        return pace.start_up + pace.step * one.steps, "measured"
    if usual:
        return usual[0] + one.flops / usual[1], "scaled"
    if flops_per_second:
        return start_up + one.flops / (flops_per_second * devices), "table"
    return None, None
