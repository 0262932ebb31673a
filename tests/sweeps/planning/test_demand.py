"""What a trial asks of machines: how many fit, and which setting to change where none does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opabinia.sweeps.planning.demand import at_once, demand_of, missing_now, never_fits
from opabinia.sweeps.planning.machines import Machines, device_names
from opabinia.sweeps.planning.waiting import what_is_awaited
from opabinia.training.run import WorkersConfig


def machine(cpus: float, gpus: float = 0, kind: str = "H100") -> dict[str, Any]:
    accelerators = {"GPU": gpus, f"accelerator_type:{kind}": 1.0} if gpus else {}
    return {"Alive": True, "Resources": {"CPU": cpus, **accelerators}, "Labels": {}}


def fitting(machines: Machines, most: int = 100, **workers: Any) -> int:
    config = WorkersConfig.model_validate(workers)
    return at_once(demand_of(config, machines), machines, most)


def missing(machines: Machines, **workers: Any) -> str:
    config = WorkersConfig.model_validate(workers)
    return str(missing_now(demand_of(config, machines), machines))


LAPTOP = Machines((machine(2),), is_cluster=False)
PAIR = Machines((machine(64, 8), machine(64, 8)))


@pytest.mark.parametrize(
    ("workers", "fits"),
    [
        # Each trial also needs 0.2 CPUs for its driver and the tasks that read its data.
        ({"cpus": 0.5}, 2),
        ({"cpus": 0.8}, 2),
        ({"cpus": 0.9}, 1),
        ({"cpus": 1.8}, 1),
        ({"cpus": 1.9}, 0),
        ({"cpus": 0.9, "count": 2}, 1),
        ({"cpus": 1.0, "count": 2}, 0),
    ],
)
def test_a_trial_takes_its_workers_and_a_little_beside(workers: dict[str, Any], fits: int) -> None:
    assert fitting(LAPTOP, **workers) == fits


def test_no_more_fit_than_are_asked_for() -> None:
    assert fitting(LAPTOP, most=1, cpus=0.1) == 1


def test_a_machine_with_gpus_gives_each_worker_one() -> None:
    assert fitting(PAIR, count=4, cpus=4) == 4
    assert fitting(PAIR, count=4, cpus=16) == 1, "three workers beside four are the most for 64 CPUs"


def test_a_trial_may_spread_over_machines_but_a_worker_may_not() -> None:
    assert fitting(PAIR, count=16, cpus=1) == 1
    assert fitting(Machines((machine(1), machine(1))), cpus=1.5) == 0


def test_a_range_of_workers_begins_with_the_fewest() -> None:
    assert fitting(PAIR, count=32, at_least=16, cpus=1) == 1


@given(st.integers(1, 6), st.floats(0.1, 4), st.lists(st.integers(1, 8), min_size=1, max_size=3))
def test_what_fits_never_takes_more_than_there_is(count: int, cpus: float, sizes: list[int]) -> None:
    machines = Machines(tuple(machine(size) for size in sizes))
    fits = fitting(machines, count=count, cpus=cpus)
    assert fits * (count * cpus + 0.2) <= sum(sizes) + 1e-3
    assert (missing(machines, count=count, cpus=cpus) == "None") == (fits > 0)


@pytest.mark.parametrize(
    ("machines", "workers", "said"),
    [
        (
            LAPTOP,
            {"hardware": "cuda"},
            r"workers\.hardware: cuda needs a GPU .* this machine \(2 CPUs\) has none; set it",
        ),
        (LAPTOP, {"cpus": 64}, r"workers\.cpus: each worker asks for 64 CPUs, and the largest machine has 2; lower it"),
        (LAPTOP, {"cpus": 1.0, "count": 4}, r"workers\.cpus: 4 workers .*; lower it, or workers\.count to 1$"),
        (LAPTOP, {"cpus": 2.0}, r"workers\.cpus: 1 worker with 2 CPUs, and 0\.2 CPUs beside .*; lower it$"),
        (
            PAIR,
            {"count": 17},
            r"workers\.count: 17 workers .* the cluster \(2 machines: 128 CPUs, 16 GPUs\) .*; use 16$",
        ),
    ],
)
def test_what_is_missing_names_the_setting_and_the_change(
    machines: Machines, workers: dict[str, Any], said: str
) -> None:
    line = missing(machines, **workers)
    assert re.search(said, line), line
    assert "\n" not in line


def test_the_number_that_is_proposed_fits() -> None:
    assert fitting(LAPTOP, cpus=1.0, count=1) == 1
    assert fitting(PAIR, count=16) == 1


def test_a_cluster_that_grows_enough_refuses_nothing_and_is_waited_for() -> None:
    growing = Machines((machine(4),), at_most={"CPU": 256.0, "GPU": 8.0})
    config = WorkersConfig(hardware="cuda", count=8)
    assert never_fits(demand_of(config, growing), growing) is None
    assert "on demand" in str(what_is_awaited(config, growing))


def test_a_cluster_that_cannot_grow_enough_refuses() -> None:
    growing = Machines((machine(4),), at_most={"CPU": 256.0, "GPU": 4.0})
    refused = never_fits(demand_of(WorkersConfig(hardware="cuda", count=8), growing), growing)
    assert "grows to no more than 256 CPUs, 4 GPUs" in str(refused)


def test_a_run_that_fits_waits_for_nothing_and_another_says_how_to_give_up() -> None:
    assert what_is_awaited(WorkersConfig(), LAPTOP) is None
    assert str(what_is_awaited(WorkersConfig(hardware="cuda"), LAPTOP)).endswith("Ctrl-C gives up")


def test_a_slice_that_nobody_knows_is_refused_as_the_run_would_refuse_it() -> None:
    with pytest.raises(ValueError, match=r"workers\.topology: the cluster shows no slice"):
        demand_of(WorkersConfig(hardware="xla"), LAPTOP)


def test_devices_are_called_what_ray_calls_them() -> None:
    mixed = Machines((machine(4), machine(4, 1, "L4"), machine(4, 1, "L4"), machine(4, 1, "H100")))
    assert device_names(mixed, "GPU") == ["L4", "H100"]
    assert device_names(LAPTOP, "GPU") == []


def test_a_worker_on_cpus_keeps_as_many_busy_as_it_has_threads() -> None:
    assert demand_of(WorkersConfig(cpus=0.5, threads=2, count=2), PAIR).devices == 2, "two GPUs"
    assert demand_of(WorkersConfig(cpus=0.5, threads=2, count=2), LAPTOP).devices == 4
