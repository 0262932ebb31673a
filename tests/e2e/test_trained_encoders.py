"""Encoders that learn, as a user has them do it: each alone before the language model, then together, scored and kept."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from mlflow.tracking import MlflowClient

from opabinia.encoders.loading import load_encoder
from opabinia.evaluation.report import from_json
from opabinia.evaluation.table import render_table
from opabinia.features.table import FeatureReader
from opabinia.models.opening import open_checkpoint
from tests.e2e.disturbed import below
from tests.e2e.mlflow_server import MlflowServer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "burgess/caption-vit", "burgess/dense-convnext"
ALONE_STEPS = 8
PREALIGN = {"name": "prealign", "data": "instruction", "alone": "each", "trains": ["connector", "encoders"]}
JOINT = {"name": "joint", "data": "instruction", "trains": ["connector", "language_model", "encoders"]}
PATIENCE_S = 300


@dataclass(frozen=True)
class Job:
    """One `jobs/train.py`, in a folder of its own."""

    folder: Path
    server: MlflowServer
    name: str

    @property
    def output(self) -> Path:
        return self.folder / "quickstart"

    def write(self, *stages: dict[str, Any], **changes: Any) -> None:
        text = (ROOT / "jobs" / "experiments" / "quickstart.yaml").read_text()
        settings = yaml.safe_load(text.replace("runs/", f"{self.folder}/"))
        settings["world"] |= {"scenes": 60, "facts": 6, "benchmark": 8}
        lengths = {"steps": ALONE_STEPS, "batch": 8, "lr": 3e-4, "base_batch": 8, "reports": 1}
        settings |= {"encoders": [FIRST, SECOND], "stages": [{**lengths, **stage} for stage in stages]}
        settings |= {"tracking": {"uri": self.server.uri, "experiment": self.name}}
        settings |= {"workers": {"cpus": 0.4, "data_tasks": 1}, **changes}
        (self.folder / "experiment.yaml").write_text(yaml.safe_dump(settings))

    def start(self, job: str = "train.py", *flags: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "jobs" / job), "--config", str(self.folder / "experiment.yaml"), *flags]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_TRAIN_METRICS_ENABLED": "0"}
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, job: str = "train.py", *flags: str) -> str:
        return finish(self.start(job, *flags))

    def curve(self, metric: str) -> dict[int, float]:
        """By step; the same step may have been told twice, but never with two values."""
        client = MlflowClient(self.server.uri)
        experiment = client.get_experiment_by_name(self.name)
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        points = dict[int, float]()
        for point in client.get_metric_history(run.info.run_id, metric):
            assert points.setdefault(point.step, point.value) == point.value
        return points


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors[-3000:]
    return output


def checkpoint_in(output: str) -> Path:
    (folder,) = re.findall(r"^checkpoint +(\S+)$", output, re.MULTILINE)
    return Path(folder)


@pytest.fixture(scope="module")
def eagle(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Each encoder alone, then everything together (Shi et al. 2024)."""
    job = Job(tmp_path_factory.mktemp("eagle"), server, "eagle")
    job.write(PREALIGN, JOINT)
    return job


@pytest.fixture(scope="module")
def checkpoint(eagle: Job) -> Path:
    return checkpoint_in(eagle.run())


def features(encoder: Any) -> torch.Tensor:
    side = encoder.entry.input_size
    return encoder(torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)))


def test_every_stage_trains_its_parts_at_their_rates(eagle: Job, checkpoint: Path) -> None:
    first, second, joint = (range(ALONE_STEPS * place + 1, ALONE_STEPS * (place + 1) + 1) for place in range(3))
    assert set(eagle.curve("loss")) == {*first, *second, *joint}
    assert set(eagle.curve(f"loss/prealign.{FIRST}")) == set(first)
    assert set(eagle.curve(f"lr/encoders.{FIRST}")) == {*first, *joint}
    assert set(eagle.curve(f"lr/encoders.{SECOND}")) == {*second, *joint}
    assert set(eagle.curve("lr/language_model")) == set(joint)


def test_the_checkpoint_has_the_encoders_that_learnt_and_scores_as_was_reported(eagle: Job, checkpoint: Path) -> None:
    opened = open_checkpoint(checkpoint)
    assert set(json.loads((checkpoint / "opabinia.json").read_text())["trained_encoders"]) == {FIRST, SECOND}
    for encoder in opened.load_encoders():
        assert not torch.allclose(features(encoder), features(load_encoder(encoder.entry.id)), atol=1e-4)
    reported = from_json((checkpoint / "report.json").read_text())
    evaluated = eagle.run("evaluate.py", "--checkpoint", str(checkpoint))
    assert scores_in(evaluated) == scores_in(render_table([reported]))


def scores_in(table: str) -> list[str]:
    """Of the one row: families, average, blind, random and gain."""
    (row,) = [line for line in table.splitlines() if line.strip().startswith("1 ")]
    return row.split()[-8:]


def test_no_features_are_stored_of_encoders_that_all_learn(eagle: Job, checkpoint: Path) -> None:
    assert list(eagle.output.glob("features-*")) == []


def saved_step(job: Job) -> int:
    manifests = job.output.glob("runs/*/checkpoints/quickstart/state/*/manifest.json")
    return max((int(manifest.parent.name.split("-")[1]) for manifest in manifests), default=0)


def test_a_worker_that_is_killed_while_an_encoder_is_alone_changes_no_loss(
    eagle: Job, checkpoint: Path, server: MlflowServer, tmp_path: Path
) -> None:
    job = Job(tmp_path, server, "killed")
    resources = {"cpus": 0.4, "data_tasks": 1, "max_failures": 2}
    job.write(PREALIGN, JOINT, workers=resources, checkpoints={"every_minutes": 1e-6})
    driver, deadline = job.start(), time.monotonic() + PATIENCE_S
    try:
        # In the middle of the second encoder's stage.
        while saved_step(job) < ALONE_STEPS + 2:
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        workers = below(driver, "RayTrainWorker")
        assert workers
        for worker in workers:
            worker.kill()
        finish(driver)
    finally:
        if driver.poll() is None:
            driver.send_signal(signal.SIGTERM)
    assert job.curve("loss") == eagle.curve("loss")


def test_a_job_that_was_killed_with_its_ray_is_gone_on_with(
    eagle: Job, checkpoint: Path, server: MlflowServer, tmp_path: Path
) -> None:
    job = Job(tmp_path, server, "resumed")
    job.write(PREALIGN, JOINT, checkpoints={"every_minutes": 1e-6})
    driver, deadline = job.start(), time.monotonic() + PATIENCE_S
    all_of_it = list[psutil.Process]()
    try:
        while saved_step(job) < ALONE_STEPS + 2:
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        all_of_it = [*psutil.Process(driver.pid).children(recursive=True), psutil.Process(driver.pid)]
        for process in all_of_it:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        driver.communicate()
    psutil.wait_procs(all_of_it, timeout=PATIENCE_S)
    again = finish(job.start("train.py", "--resume", "latest"))
    assert checkpoint_in(again).is_dir()
    assert job.curve("loss") == eagle.curve("loss")
    third = job.start("train.py", "--resume", "latest")
    assert "has ended" in third.communicate(timeout=PATIENCE_S)[1]
    assert third.returncode == 2


def test_an_encoder_that_stays_frozen_is_read_from_the_table_beside_one_that_learns(
    server: MlflowServer, tmp_path: Path
) -> None:
    job = Job(tmp_path, server, "mixed")
    job.write({**PREALIGN, "alone": SECOND}, {**JOINT, "trains": ["connector", f"encoders.{SECOND}"]})
    folder = checkpoint_in(job.run())
    (table,) = job.output.glob("features-*.lance")
    FeatureReader(table, [FIRST])
    with pytest.raises(ValueError, match=f"holds nothing of {SECOND}"):
        FeatureReader(table, [SECOND])
    assert set(json.loads((folder / "opabinia.json").read_text())["trained_encoders"]) == {SECOND}
    first, second = open_checkpoint(folder).load_encoders()
    assert features(first).equal(features(load_encoder(FIRST)))
    assert not torch.allclose(features(second), features(load_encoder(SECOND)), atol=1e-4)
