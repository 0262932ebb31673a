"""What a job that was really started waits for, since Ray waits in silence."""

from __future__ import annotations

from opabinia.sweeps.planning.demand import demand_of, missing_now, never_fits
from opabinia.sweeps.planning.machines import Machines, cluster_machines
from opabinia.training.run import WorkersConfig


def say_what_is_awaited(workers: WorkersConfig) -> None:
    """Print one line where the cluster that this process has joined has no room for a run; nothing otherwise.

    Raises ValueError where the hardware cannot be had at all, as the run itself would.
    """
    line = what_is_awaited(workers, cluster_machines())
    if line is not None:
        print(line, flush=True)


def what_is_awaited(workers: WorkersConfig, machines: Machines) -> str | None:
    """In one line: what is missing, whether the cluster can add it, and how to give up or go without; None where a run fits."""
    demand = demand_of(workers, machines)
    missing = missing_now(demand, machines)
    if missing is None:
        return None
    if never_fits(demand, machines) is None:
        return f"runs wait until the cluster has added machines, on demand: {missing}; Ctrl-C gives up"
    return f"runs wait until machines join the cluster: {missing}; Ctrl-C gives up"
