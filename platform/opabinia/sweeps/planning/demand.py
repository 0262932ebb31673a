"""What one trial asks of the machines, how many fit at once, and what is missing where none does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opabinia.data.pipeline import TASK_CPUS
from opabinia.sweeps.planning.machines import Machines, resources
from opabinia.sweeps.trial import DRIVER_CPUS
from opabinia.training.backends.choose import choose
from opabinia.training.backends.config import Hardware
from opabinia.training.backends.workers import scaling_config
from opabinia.training.run import WorkersConfig

_ACCELERATORS: dict[Hardware, str] = {"cuda": "GPU", "tpu": "TPU", "xla": "TPU"}
_LITTLE = 1e-6
"""Ray counts in ten-thousandths; sums of tenths are off by less."""


@dataclass(frozen=True, slots=True)
class Demand:
    """hardware: as chosen. workers: fewest that a trial can begin with. each: what each of them reserves, by resource.
    threads: with which each computes on a CPU.
    beside: CPUs for the trial's driver and for the tasks that read its data. accelerator: a TPU's generation, where it is known.
    """

    hardware: Hardware
    workers: int
    each: Mapping[str, float]
    threads: int = 1
    beside: float = DRIVER_CPUS + TASK_CPUS
    accelerator: str | None = None

    @property
    def device(self) -> str:
        """The resource that computes: CPU, GPU or TPU."""
        return _ACCELERATORS.get(self.hardware, "CPU")

    @property
    def devices(self) -> float:
        """How many of those a trial keeps busy; a worker on CPUs computes with as many as it has threads, whatever it reserves."""
        held = self.each.get(self.device, 0)
        return self.workers * (max(held, self.threads) if self.device == "CPU" else held)

    @property
    def text(self) -> str:
        """For messages: `2 workers with 4 CPUs and 1 GPU each`."""
        held = " and ".join(f"{amount:g} {kind}{'s' * (amount > 1)}" for kind, amount in self.each.items() if amount)
        return f"{self.workers} workers with {held} each" if self.workers > 1 else f"1 worker with {held}"


def demand_of(workers: WorkersConfig, machines: Machines) -> Demand:
    """Raises ValueError where the hardware, or so many workers on it, cannot be had, as the run itself would."""
    try:
        chosen = choose(workers, machines.nodes)
    except ValueError as error:
        raise ValueError(f"workers.{error}") from None
    scaling: Any = scaling_config(chosen, workers.count, workers.cpus)
    each = {kind: amount for kind, amount in scaling.resources_per_worker.items() if kind in ("CPU", "GPU", "TPU")}
    kind = chosen.slice.accelerator_type if chosen.slice else None
    return Demand(chosen.hardware, workers.at_least or workers.count, each, workers.threads, accelerator=kind)


def at_once(demand: Demand, machines: Machines, most: int) -> int:
    """How many such trials fit on machines that do nothing else, at most `most`."""
    free = [dict(resources(node)) for node in machines.nodes]
    return next((count for count in range(most) if not _take(free, demand)), most)


def missing_now(demand: Demand, machines: Machines) -> str | None:
    """Which setting asks for what the machines do not have, in one line that says what to change; None where a trial fits."""
    if _fits(demand, machines):
        return None
    for kind, amount in demand.each.items():
        if amount > machines.largest(kind) + _LITTLE:
            return _too_large(demand, kind, amount, machines)
    room = next(
        (count for count in range(demand.workers - 1, 0, -1) if _fits(replace(demand, workers=count), machines)), 0
    )
    asked = f"{demand.text}, and {demand.beside:g} CPUs beside for driver and data, are more than {machines.text} has room for"
    if _fits(replace(demand, each={**demand.each, "CPU": 0.0}, beside=0.0), machines):
        return f"workers.cpus: {asked}; lower it{f', or workers.count to {room}' if room else ''}"
    return f"workers.count: {asked}; " + (f"use {room}" if room else "add machines")


def never_fits(demand: Demand, machines: Machines) -> str | None:
    """As `missing_now`, but None where the cluster can grow enough."""
    missing = missing_now(demand, machines)
    if missing is None or machines.at_most is None:
        return missing
    grown = machines.at_most
    enough = all(grown.get(kind, 0) >= demand.workers * amount for kind, amount in demand.each.items())
    return None if enough else f"{missing} (and the cluster grows to no more than {_amounts(grown)})"


def _too_large(demand: Demand, kind: str, amount: float, machines: Machines) -> str:
    if machines.largest(kind) > 0:
        field = "workers.cpus" if kind == "CPU" else "workers.topology"
        return f"{field}: each worker asks for {amount:g} {kind}s, and the largest machine has {machines.largest(kind):g}; lower it"
    return (
        f"workers.hardware: {demand.hardware} needs {'a' if amount == 1 else f'{amount:g}'} {kind}{'s' * (amount > 1)} for each "
        f"worker, and {machines.text} has none; set it to auto or cpu, or add machines with {kind}s"
    )


def _fits(demand: Demand, machines: Machines) -> bool:
    return at_once(demand, machines, 1) == 1


def _take(free: list[dict[str, float]], demand: Demand) -> bool:
    """Take what a trial needs from what is free, as it comes; False, with some of it taken, where that is not enough."""
    return all(_take_one(free, demand.each) for _ in range(demand.workers)) and _take_one(free, {"CPU": demand.beside})


def _take_one(free: Iterable[dict[str, float]], wanted: Mapping[str, float]) -> bool:
    for node in free:
        if all(node.get(kind, 0) + _LITTLE >= amount for kind, amount in wanted.items()):
            for kind, amount in wanted.items():
                node[kind] = node.get(kind, 0) - amount
            return True
    return False


def _amounts(held: Mapping[str, float]) -> str:
    return ", ".join(f"{held.get(kind, 0):g} {kind}s" for kind in ("CPU", "GPU", "TPU") if held.get(kind))
