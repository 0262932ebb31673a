"""A sweep that was killed goes on, and one that has ended takes more trials; nothing that ended is trained again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tests.e2e.disturbed import end_all, wait_until
from tests.e2e.mlflow_server import MlflowServer
from tests.e2e.test_sweep import ROOT, run_job

pytestmark = pytest.mark.e2e

EXPERIMENT = "resumed"
FIRST, SECOND = "dense-convnext.mlp2x_gelu.s0", "dense-convnext.sva.s0"
STEPS = 9
FLAGS = (
    *("--world.scenes", "120", "--world.facts", "10", "--world.benchmark", "24", "--sweep.max_concurrent", "1"),
    *("--stages.0.steps", "3", "--stages.0.batch", "8", "--stages.1.steps", "6", "--stages.1.batch", "8"),
    *("--sweep.scheduler", "null", "--tracking.experiment", EXPERIMENT, "--checkpoints.every_minutes", "1e-6"),
)
ONE_SET = ("--sweep.encoder_sets", '[["burgess/dense-convnext"]]')
TWO_SETS = ("--sweep.encoder_sets", '[["burgess/dense-convnext"], ["burgess/caption-vit"]]')


def logs(folder: Path) -> dict[str, list[dict[str, object]]]:
    """What each trial has told, by its name."""
    files = (folder / "runs" / "quickstart" / "sweeps").glob("*/trials/*.jsonl")
    return {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in files}


def has_told(folder: Path, name: str) -> bool:
    return any("told" in entry for entry in logs(folder).get(name, []))


def kill_when(holds: Callable[[], bool], folder: Path, uri: str, *flags: str) -> None:
    """Begin a sweep in `folder` and kill it and all that it started, as soon as that holds."""
    command = [sys.executable, str(ROOT / "jobs" / "sweep_encoders.py"), "--tracking.uri", uri, *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}
    with (folder / "log.txt").open("wb") as log:
        driver = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_until(holds, driver, folder)
    finally:
        end_all(driver)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def killed(folder: Path, server: MlflowServer) -> dict[str, list[dict[str, object]]]:
    """What had been told."""
    kill_when(lambda: has_told(folder, SECOND), folder, server.uri, *FLAGS, *ONE_SET)
    return logs(folder)


@pytest.fixture(scope="module")
def resumed(folder: Path, server: MlflowServer, killed: object) -> str:
    done = run_job(folder, server.uri, *FLAGS, *ONE_SET, "--resume", "latest")
    assert done.code == 0, done.errors[-3000:]
    return done.output


@pytest.fixture(scope="module")
def extended(folder: Path, server: MlflowServer, resumed: str) -> str:
    done = run_job(folder, server.uri, *FLAGS, *TWO_SETS, "--extend", "latest")
    assert done.code == 0, done.errors[-3000:]
    return done.output


def trial_runs(server: MlflowServer) -> dict[str, Run]:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    named = {str(run.info.run_name): run for run in runs if run not in parents}
    assert len(named) == len(runs) - 1
    return named


def trained(output: str) -> list[str]:
    """Trials that a job started or went on with."""
    lines = [line for line in output.splitlines() if " started (" in line or " goes on (" in line]
    return [line.split("] ")[1].split()[0] for line in lines]


def test_only_the_trial_that_was_cut_off_is_trained_after_a_kill(
    killed: dict[str, list[dict[str, object]]], resumed: str, folder: Path
) -> None:
    assert killed[FIRST][-1] == {"ended": "finished"}
    assert "ended" not in killed[SECOND][-1]
    assert trained(resumed) == [SECOND]
    assert logs(folder)[FIRST] == killed[FIRST]
    assert logs(folder)[SECOND][-1] == {"ended": "finished"}


def test_the_results_are_of_all_trials(resumed: str, extended: str, folder: Path) -> None:
    assert "dense-convnext" in resumed
    (results,) = (folder / "runs" / "quickstart" / "sweeps").glob("*/results")
    reports = json.loads((results / "reports.json").read_text())
    assert len(reports) == 4
    assert {report["status"] for report in reports} == {"finished"}
    assert "caption-vit.sva.s0" in (results / "sweep.html").read_text()
    curves = json.loads((results / "curves.json").read_text())
    for curve in curves.values():
        assert [point["step"] for point in curve["curve"]] == list(range(1, STEPS + 1))


def test_an_extended_sweep_trains_what_it_did_not_have(extended: str) -> None:
    assert trained(extended) == ["caption-vit.mlp2x_gelu.s0", "caption-vit.sva.s0"]


@pytest.mark.usefixtures("extended")
def test_mlflow_has_one_run_a_trial_and_no_step_twice(server: MlflowServer) -> None:
    runs = trial_runs(server)
    assert len(runs) == 4
    for run in runs.values():
        losses = MlflowClient(server.uri).get_metric_history(run.info.run_id, "loss")
        assert sorted(point.step for point in losses) == list(range(1, STEPS + 1))
        assert run.info.status == "FINISHED"


@pytest.mark.usefixtures("extended")
def test_a_sweep_that_has_ended_is_not_gone_on_with(server: MlflowServer, folder: Path) -> None:
    refused = run_job(folder, server.uri, *FLAGS, *TWO_SETS, "--resume", "latest")
    assert refused.code == 2
    assert "has ended" in refused.errors
    assert len(refused.errors.strip().splitlines()) == 1
