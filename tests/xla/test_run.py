"""A whole run on a TPU slice through PyTorch/XLA is the run that a CPU makes; it goes on where a CPU left off, and the other way round.

The CPU's runs are made in the environment of everything else (OPABINIA_PYTHON), with another torch, where there is one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.disturbed import ALL_STEPS, end_all, finish, points, state_of
from tests.e2e.small_run import STEPS
from tests.xla.slices import ACCELERATOR_TYPE, CHIPS, HOSTS, TOPOLOGY
from tests.xla.small_run import LEARNING_STEPS

pytestmark = pytest.mark.e2e

Losses = dict[int, float]

CPU = {"hardware": "cpu"}
SLICE = {"hardware": "xla", "count": HOSTS, "topology": TOPOLOGY, "accelerator_type": ACCELERATOR_TYPE}
WARM_UP = 3
PATIENCE_S = 900


def train(folder: Path, name: str, workers: dict[str, Any], *, all_learns: bool = False) -> Losses:
    """By step. The run goes on from what is in its state already. all_learns: and samples are packed."""
    python = os.environ.get("OPABINIA_PYTHON", sys.executable) if workers["hardware"] == "cpu" else sys.executable
    own = folder / name
    own.mkdir(exist_ok=True)
    # Nobody's, as in tests.e2e.disturbed.
    environment = {**os.environ, "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1", "OMP_NUM_THREADS": "1"}
    command = [python, "-m", "tests.xla.small_run", str(folder), name, json.dumps(workers), *["all"] * all_learns]
    with (own / "log.txt").open("ab") as log:
        driver = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        # Compiling takes minutes where others want the processor too.
        driver.wait(PATIENCE_S)
        return finish(driver, own, sum(LEARNING_STEPS) if all_learns else ALL_STEPS)
    finally:
        end_all(driver)


def leave_off(run: Path, step: int, other: Path) -> None:
    """Give the other run what a kill after `step` had left of this one."""
    (kept,) = state_of(run).glob(f"step-{step:08d}-*")
    shutil.copytree(kept, state_of(other) / kept.name)


def answers(run: Path) -> list[Any]:
    """Of each report, in their order."""
    reported = sorted(state_of(run).parent.glob("checkpoint_*/answers.json"))
    return [json.loads(file.read_text()) for file in reported]


def hosts(run: Path) -> list[dict[str, Any]]:
    """What `small_run` tells of them."""
    return [json.loads((run / f"host-{number}.json").read_text()) for number in range(HOSTS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def on_cpu(folder: Path) -> Losses:
    return train(folder, "cpu", CPU)


@pytest.fixture(scope="module")
def on_slice(folder: Path) -> Losses:
    return train(folder, "slice", SLICE)


def test_every_loss_of_both_stages_is_that_of_the_cpu(on_cpu: Losses, on_slice: Losses) -> None:
    assert on_slice == pytest.approx(on_cpu, rel=1e-4)
    assert on_cpu[STEPS[0]] < 0.6 * on_cpu[1]


@pytest.mark.usefixtures("on_cpu", "on_slice")
def test_both_reported_models_answer_as_those_of_the_cpu(folder: Path) -> None:
    reported = answers(folder / "slice")
    assert reported == answers(folder / "cpu")
    assert len(reported) == len(STEPS)
    assert reported[0] != reported[1]


@pytest.mark.usefixtures("on_slice")
def test_all_chips_train_and_nothing_is_compiled_after_the_first_steps_of_a_stage(folder: Path) -> None:
    for host in hosts(folder / "slice"):
        assert host["devices"] == CHIPS
        assert len(host["compiled"]) == ALL_STEPS
        align, instruct = host["compiled"][: STEPS[0]], host["compiled"][STEPS[0] :]
        assert align[WARM_UP - 1] == align[-1] > 0
        assert instruct[WARM_UP - 1] == instruct[-1]


def test_a_run_that_was_cut_off_on_the_slice_goes_on_on_the_cpu(folder: Path, on_cpu: Losses, on_slice: Losses) -> None:
    run, other = folder / "slice", folder / "slice-then-cpu"
    leave_off(run, 4, other)
    assert train(folder, other.name, CPU) == pytest.approx(on_cpu, rel=1e-4)
    # With the seconds that they took: these steps were not made again.
    assert points(other)[:4] == points(run)[:4]


def test_a_run_that_was_cut_off_on_the_cpu_goes_on_on_the_slice_sharded(folder: Path, on_cpu: Losses) -> None:
    run, other = folder / "cpu", folder / "cpu-then-slice"
    leave_off(run, 16, other)
    sharded = {**SLICE, "sharding": "sharded"}
    assert train(folder, other.name, sharded) == pytest.approx(on_cpu, rel=1e-4)
    assert points(other)[:16] == points(run)[:16]
    for host in hosts(other):
        assert len(host["compiled"]) == ALL_STEPS - 16
        assert host["compiled"][WARM_UP - 1] == host["compiled"][-1]


def test_encoders_learn_from_packed_samples_as_they_do_on_the_cpu(folder: Path) -> None:
    on_cpu = train(folder, "all-cpu", CPU, all_learns=True)
    assert train(folder, "all-slice", SLICE, all_learns=True) == pytest.approx(on_cpu, rel=1e-4)
    for host in hosts(folder / "all-slice"):
        second = host["compiled"][LEARNING_STEPS[0] :]
        assert second[WARM_UP - 1] == second[-1]


def test_in_bfloat16_the_first_stage_is_that_of_the_cpu_in_bfloat16(folder: Path, on_cpu: Losses) -> None:
    """Later ones magnify what the two round differently."""
    on_slice = train(folder, "slice-bfloat16", {**SLICE, "precision": "bfloat16"})
    rounded = train(folder, "cpu-bfloat16", {**CPU, "precision": "bfloat16"})
    losses, expected, exact = ([of[step] for step in range(1, STEPS[0] + 1)] for of in (on_slice, rounded, on_cpu))
    assert losses == pytest.approx(expected, rel=0.02)
    assert losses != pytest.approx(exact, rel=0.02)
