"""The sweep job as its user runs it: a small world, real Ray, a real MLflow server, and a champion at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from opabinia.evaluation.report import from_json
from opabinia.tracking.champion import find_champion
from tests.e2e.mlflow_server import MlflowServer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
FLAGS = (
    *("--world.scenes", "120", "--world.facts", "10", "--world.benchmark", "24"),
    *("--stages.0.steps", "3", "--stages.0.batch", "8", "--stages.1.steps", "6", "--stages.1.batch", "8"),
    *("--sweep.encoder_sets", '[["burgess/dense-convnext"], ["burgess/caption-vit", "burgess/dense-convnext"]]'),
)


@dataclass(frozen=True)
class Finished:
    code: int
    output: str
    errors: str


def run_job(folder: Path, uri: str, *flags: str, job: str = "sweep_encoders.py") -> Finished:
    """Run a job in `folder`, where the relative paths of quickstart.yaml lead."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_TRAIN_METRICS_ENABLED": "0"}
    command = [sys.executable, str(ROOT / "jobs" / job), "--tracking.uri", uri, *flags]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def sweep(folder: Path, server: MlflowServer) -> Finished:
    return run_job(folder, server.uri, *FLAGS)


def test_a_sweep_ends_with_a_ranked_table_and_what_to_do_next(sweep: Finished) -> None:
    assert sweep.code == 0, sweep.errors[-3000:]
    assert "caption-vit + dense-convnext" in sweep.output
    assert sweep.output.rstrip().endswith("make serve")


def test_mlflow_holds_a_parent_run_and_one_nested_run_per_trial(sweep: Finished, server: MlflowServer) -> None:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("opabinia")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(trials) == 4
    assert parent.data.params["rejected.alignment"] == "0"
    assert {artifact.path for artifact in client.list_artifacts(parent.info.run_id)} >= {"ablation", "experiment.yaml"}
    for trial in trials:
        losses = client.get_metric_history(trial.info.run_id, "loss")
        # A trial that the scheduler stopped has the three steps of align and two of instruct.
        assert len(losses) in (5, 7, 9)
        assert {"with_image/general", "blind/general", "random/general"} <= trial.data.metrics.keys()
        paths = {artifact.path for artifact in client.list_artifacts(trial.info.run_id)}
        assert {"checkpoint", "samples.html", "report.json"} <= paths


def test_the_champion_is_the_best_trial_that_finished(sweep: Finished, server: MlflowServer, folder: Path) -> None:
    (results,) = (folder / "runs" / "quickstart" / "sweeps").glob("*/results")
    reports = [from_json(json.dumps(report)) for report in json.loads((results / "reports.json").read_text())]
    best = max(report.score or 0 for report in reports if report.status == "finished")
    assert find_champion(server.uri, "opabinia").score == pytest.approx(best, abs=1e-3)


def test_evaluating_the_champion_from_its_pictures_gives_the_score_of_the_sweep(
    sweep: Finished, server: MlflowServer, folder: Path
) -> None:
    evaluated = run_job(folder, server.uri, job="evaluate.py")
    assert evaluated.code == 0, evaluated.errors[-3000:]
    score = find_champion(server.uri, "opabinia").score
    row = next(line for line in evaluated.output.splitlines() if line.startswith("1 "))
    # Features from the table are float16; an answer on the edge may fall to the other side.
    assert any(abs(float(cell) - score) < 2.0 for cell in row.split() if cell.replace(".", "").isdigit())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--sweep.pool", "burgess/caption-vti"), "did you mean 'burgess/caption-vit'"),
        (("--sweep.connectors", '[{"type": "svaa"}]'), "did you mean 'sva'"),
        (("--benchmark.families", "generall"), "did you mean 'general'"),
        (("--sweep.connectors", '[{"type": "sva", "queries": 15}]'), "15 is not a square"),
        (("--stages.1.data", "instructions"), "did you mean 'instruction'"),
    ],
)
def test_a_wrong_setting_is_one_line_before_anything_starts(
    tmp_path: Path, server: MlflowServer, flags: tuple[str, ...], said: str
) -> None:
    refused = run_job(tmp_path, server.uri, *flags)
    assert refused.code == 2
    assert said in refused.errors
    assert "Traceback" not in refused.errors
    assert len(refused.errors.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_too_many_bad_lines_stop_the_sweep_and_are_written_with_file_and_line(
    sweep: Finished, server: MlflowServer, folder: Path, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    good = next((folder / "runs" / "world" / "alignment").glob("*.jsonl")).read_text().splitlines()
    (shards / "part-0.jsonl").write_text("\n".join([*good, "{not json", json.dumps({"id": 1, "image": "gone.jpg"})]))
    flags = ("--data.sources.alignment.shards", str(shards), "--output", str(tmp_path / "out"))
    refused = run_job(folder, server.uri, *FLAGS, *flags)
    assert refused.code == 2
    assert "2 of 122 records rejected" in refused.errors
    assert "Traceback" not in refused.errors
    (quarantine,) = tmp_path.glob("out/audits/alignment-*/quarantine.jsonl")
    rejected = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert [entry["line"] for entry in rejected] == [121, 122]


def test_an_output_folder_of_another_experiment_is_refused(sweep: Finished, server: MlflowServer, folder: Path) -> None:
    refused = run_job(folder, server.uri, *FLAGS, "--name", "another")
    assert refused.code == 2
    assert "belongs to experiment 'quickstart'" in refused.errors


def test_a_study_is_reported_from_what_the_sweep_left(sweep: Finished, server: MlflowServer, folder: Path) -> None:
    study = "{source: Somebody 2024, measures: [blind, lengths, masks, shares]}"
    config = ("--config", str(ROOT / "jobs" / "experiments" / "quickstart.yaml"))
    flags = (*config, *FLAGS, "--study", study)
    told = run_job(folder, server.uri, *flags, "--page", "study.md", job="report_study.py")
    assert told.code == 0, told.errors[-3000:]
    page = (folder / "study.md").read_text()
    assert page in told.output
    assert "## With the features of some encoders zeroed" in page
    both = "caption-vit+dense-convnext"
    assert f"| {both}.sva, keeping burgess/dense-convnext |" in page or f"| {both}.mlp2x_gelu, keeping" in page
    (results,) = (folder / "runs" / "quickstart" / "sweeps").glob("*/results")
    kept = {file: file.stat().st_mtime_ns for file in results.glob("*/*.json")}
    assert {file.parent.name for file in kept} == {"masks", "shares"}
    again = run_job(folder, server.uri, *flags, "--page", "study.md", job="report_study.py")
    assert again.output == told.output
    assert kept == {file: file.stat().st_mtime_ns for file in results.glob("*/*.json")}
