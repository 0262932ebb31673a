"""Runs, files and champions on a real MLflow server."""

from __future__ import annotations

import json
import logging
import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pandas
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from opabinia.evaluation.report import score_metrics, to_json
from opabinia.tracking.ablation import COLUMNS, SUMMARY, as_markdown, table_rows
from opabinia.tracking.champion import (
    ALIAS,
    PREVIOUS_ALIAS,
    fetch_champion,
    find_champion,
    list_champions,
    register_champion,
)
from opabinia.tracking.connection import ServerAwayError
from opabinia.tracking.digest import folder_digest
from opabinia.tracking.heat_map import draw_heat_map
from opabinia.tracking.mlflow_runs import open_sweep, open_trial, run_page, runs_page
from opabinia.tracking.tracked_run import TrackedRun
from tests.e2e.gate import Gate
from tests.e2e.mlflow_server import MlflowServer, free_port
from tests.evaluation.specimens import report, scores
from tests.tracking.specimens import row

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(server: MlflowServer) -> MlflowClient:
    return MlflowClient(server.uri, server.uri)


@pytest.fixture
def experiment() -> str:
    return f"experiment-{uuid4().hex[:8]}"


@pytest.fixture
def sweep(server: MlflowServer, experiment: str) -> TrackedRun:
    return open_sweep(server.uri, experiment, "quickstart", sweep_id="s1", params={"seed": 0})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "trained" / "checkpoint"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "config.json").write_text('{"encoders": ["a"]}')
    (folder / "model.safetensors").write_bytes(os.urandom(100_000))
    (folder / "tokenizer" / "vocab.txt").write_text("red\nblue\n")
    return folder


def curve(client: MlflowClient, run: TrackedRun, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in client.get_metric_history(run.run_id, name)]


def runs_of(client: MlflowClient, experiment: str) -> list[str]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return [run.info.run_id for run in client.search_runs([found.experiment_id])]


def test_a_sweep_is_a_parent_run_with_its_settings_and_files(
    server: MlflowServer, client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    (tmp_path / "quickstart.yaml").write_text("name: quickstart\n")
    settings = {
        "name": "quickstart",
        "stages": [{"lr": 1e-3}],
        **{f"field{n}": n for n in range(250)},
        "long": "x" * 9000,
    }
    sweep = open_sweep(
        server.uri, experiment, "quickstart", sweep_id="s1", params=settings, files=[tmp_path / "quickstart.yaml"]
    )
    run = client.get_run(sweep.run_id)
    assert run.info.run_name == "quickstart"
    assert run.info.status == "RUNNING"
    assert len(run.data.params) == 253
    assert run.data.params["stages.0.lr"] == "0.001"
    assert len(run.data.params["long"]) == 6000
    assert [file.path for file in client.list_artifacts(sweep.run_id)] == ["quickstart.yaml"]


def test_trials_are_nested_in_their_sweep(server: MlflowServer, client: MlflowClient, sweep: TrackedRun) -> None:
    trial = open_trial(server.uri, sweep.run_id, "clip-vit·sva·s0", {"encoders": ("clip-vit",), "seed": 0})
    run = client.get_run(trial.run_id)
    assert run.data.tags["mlflow.parentRunId"] == sweep.run_id
    assert run.data.params == {"encoders": "clip-vit", "seed": "0"}
    assert run.info.experiment_id == client.get_run(sweep.run_id).info.experiment_id


def test_a_restart_goes_on_in_the_same_runs(
    server: MlflowServer, client: MlflowClient, experiment: str, sweep: TrackedRun
) -> None:
    trial = open_trial(server.uri, sweep.run_id, "t", {"seed": 0})
    trial.log({"loss": 2.0}, step=1)
    trial.log({"loss": 1.5}, step=2)
    trial.finish("failed")

    sweep_again = open_sweep(server.uri, experiment, "quickstart", sweep_id="s1", params={"seed": 0})
    trial_again = open_trial(server.uri, sweep_again.run_id, "t", {"seed": 0})
    assert (sweep_again.run_id, trial_again.run_id) == (sweep.run_id, trial.run_id)
    assert client.get_run(trial.run_id).info.status == "RUNNING"
    for step in (2, 3):
        trial_again.log({"loss": 2.5 - step / 2, "accuracy": 0.5}, step=step)
    trial_again.finish()
    assert curve(client, trial, "loss") == [(1, 2.0), (2, 1.5), (3, 1.0)]
    assert curve(client, trial, "accuracy") == [(2, 0.5), (3, 0.5)]
    assert len(runs_of(client, experiment)) == 2


def test_sweeps_and_trials_with_other_identities_get_runs_of_their_own(
    server: MlflowServer, client: MlflowClient, experiment: str, sweep: TrackedRun
) -> None:
    other = open_sweep(server.uri, experiment, "quickstart", sweep_id="s2", params={})
    trials = [open_trial(server.uri, parent.run_id, name, {}) for parent in (sweep, other) for name in ("a", "b")]
    assert len({sweep.run_id, other.run_id, *(trial.run_id for trial in trials)}) == 6
    assert len(runs_of(client, experiment)) == 6


def test_what_is_told_again_after_a_failure_is_one_point(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun
) -> None:
    trial = open_trial(server.uri, sweep.run_id, "t", {})
    for steps in ((1, 2, 3), (2, 3, 4)):
        for step in steps:
            trial.log({"loss": 1 / step}, step)
        trial.push()
    trial.finish()
    assert [step for step, _ in curve(client, trial, "loss")] == [1, 2, 3, 4]


def test_settings_that_a_restart_changed_are_kept_beside_the_first_ones(
    server: MlflowServer, client: MlflowClient, experiment: str, sweep: TrackedRun
) -> None:
    open_sweep(server.uri, experiment, "quickstart", sweep_id="s1", params={"seed": 1, "new": 2})
    run = client.get_run(sweep.run_id)
    assert run.data.params == {"seed": "0", "new": "2"}
    assert run.data.tags["opabinia.changed.seed"] == "1"


def test_curves_arrive_whole_and_in_few_requests(server: MlflowServer, client: MlflowClient, sweep: TrackedRun) -> None:
    trial = open_trial(server.uri, sweep.run_id, "t", {})
    started = time.monotonic()
    for step in range(1, 2501):
        trial.log({"loss": 1 / step, "odd@name": float("nan")}, step)
    trial.finish()
    assert time.monotonic() - started < 20
    history = client.get_metric_history(trial.run_id, "loss")
    assert [point.step for point in history] == list(range(1, 2501))
    assert len(client.get_metric_history(trial.run_id, "odd_name")) == 2500


def test_a_run_can_be_sent_to_a_worker(server: MlflowServer, client: MlflowClient, sweep: TrackedRun) -> None:
    sent: TrackedRun = pickle.loads(pickle.dumps(sweep))
    sent.log({"loss": 1.0}, step=1)
    sent.flush()
    assert curve(client, sweep, "loss") == [(1, 1.0)]


@pytest.mark.parametrize(
    ("status", "shown"), [("finished", "FINISHED"), ("stopped", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED")]
)
def test_a_stopped_trial_is_not_shown_as_broken(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun, status: str, shown: str
) -> None:
    trial = open_trial(server.uri, sweep.run_id, status, {})
    trial.finish(status)
    run = client.get_run(trial.run_id)
    assert (run.info.status, run.data.tags["opabinia.status"]) == (shown, status)


def test_a_reports_scores_become_metrics_that_mlflow_accepts(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun
) -> None:
    judged = report(with_image=scores(80, 90, 70, 60), blind=scores(40, 88, 20, 30))
    trial = open_trial(server.uri, sweep.run_id, "t", {})
    trial.log(score_metrics(judged), judged.steps)
    trial.log_text(to_json(judged), "report.json")
    trial.finish()
    metrics = client.get_run(trial.run_id).data.metrics
    assert metrics == score_metrics(judged)
    assert metrics["gain/vision"] == pytest.approx(40.0)


def test_tables_pages_and_pictures_are_kept_once(client: MlflowClient, sweep: TrackedRun, tmp_path: Path) -> None:
    rows = [row("clip-vit", score=60), row("mim-vit", score=70)]
    for _ in range(2):
        draw_heat_map(rows, tmp_path / "heat_map.png", title="quickstart")
        sweep.log_file(tmp_path / "heat_map.png", "ablation")
        sweep.log_table(COLUMNS, table_rows(rows), "ablation/table.json")
        sweep.describe(as_markdown(rows, SUMMARY))
    files = {file.path: file.file_size for file in client.list_artifacts(sweep.run_id, "ablation")}
    assert files["ablation/heat_map.png"] == (tmp_path / "heat_map.png").stat().st_size
    run = client.get_run(sweep.run_id)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "ablation/table.json", "type": "table"}]
    assert "| mim-vit | sva |" in run.data.tags["mlflow.note.content"]
    table = pandas.read_json(
        client.download_artifacts(sweep.run_id, "ablation/table.json", str(tmp_path)), orient="split"
    )
    assert tuple(table.columns) == COLUMNS
    assert list(table["encoders"]) == ["mim-vit", "clip-vit"]


def test_the_champion_comes_back_byte_for_byte(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun, checkpoint: Path, tmp_path: Path
) -> None:
    name = f"model-{uuid4().hex[:8]}"
    digest = sweep.log_folder(checkpoint, "checkpoint")
    made = register_champion(server.uri, name, sweep.run_id, score=71.25, tags={"encoders": "a"})
    assert made.previous is None
    assert made.champion.score == 71.25
    version = client.get_model_version_by_alias(name, ALIAS)
    assert version.tags["encoders"] == "a"
    assert version.run_id == sweep.run_id

    fetched = fetch_champion(server.uri, name, tmp_path / "cache")
    assert fetched == tmp_path / "cache" / digest[:16]
    assert folder_digest(fetched) == folder_digest(checkpoint)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [digest[:16]]


def test_a_fetched_champion_is_not_downloaded_again_and_not_trusted_when_changed(
    server: MlflowServer, sweep: TrackedRun, checkpoint: Path, tmp_path: Path
) -> None:
    name = f"model-{uuid4().hex[:8]}"
    sweep.log_folder(checkpoint, "checkpoint")
    register_champion(server.uri, name, sweep.run_id, score=1)
    fetched = fetch_champion(server.uri, name, tmp_path / "cache")
    written = (fetched / "config.json").stat().st_mtime_ns
    assert fetch_champion(server.uri, name, tmp_path / "cache") == fetched
    assert (fetched / "config.json").stat().st_mtime_ns == written
    (fetched / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="was changed after it was downloaded; remove it"):
        fetch_champion(server.uri, name, tmp_path / "cache")


def test_the_alias_moves_to_the_newest_winner_and_says_when_that_one_scored_lower(
    server: MlflowServer,
    client: MlflowClient,
    experiment: str,
    sweep: TrackedRun,
    checkpoint: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"model-{uuid4().hex[:8]}"
    other = open_sweep(server.uri, experiment, "second", sweep_id="s2", params={})
    for run in (sweep, other):
        run.log_folder(checkpoint, "checkpoint")
    first = register_champion(server.uri, name, sweep.run_id, score=80)
    with caplog.at_level(logging.WARNING):
        second = register_champion(server.uri, name, other.run_id, score=70)
    assert "version 1 (80.0) to version 2, which scored lower (70.0)" in caplog.text
    assert second.previous == first.champion
    assert second.lowered
    assert find_champion(server.uri, name) == second.champion
    assert client.get_model_version_by_alias(name, PREVIOUS_ALIAS).version == first.champion.version


def test_registering_a_run_again_makes_no_second_version(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun, checkpoint: Path
) -> None:
    name = f"model-{uuid4().hex[:8]}"
    sweep.log_folder(checkpoint, "checkpoint")
    for score in (70, 71):
        again = register_champion(server.uri, name, sweep.run_id, score=score)
    assert len(client.search_model_versions(f"name = '{name}'")) == 1
    assert (again.champion.version, again.champion.score, again.previous) == ("1", 71, None)
    assert name in [champion.model_name for champion in list_champions(server.uri)]


@pytest.mark.parametrize("name", ["optimizer.pt", "pytorch_model.bin", "extra/state.PKL", "modeling.py"])
def test_a_checkpoint_with_a_file_that_could_run_code_is_never_downloaded(
    server: MlflowServer, sweep: TrackedRun, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    model = f"model-{uuid4().hex[:8]}"
    (checkpoint / name).parent.mkdir(exist_ok=True)
    (checkpoint / name).write_bytes(b"harmless here")
    sweep.log_folder(checkpoint, "checkpoint")
    register_champion(server.uri, model, sweep.run_id, score=1)
    with pytest.raises(ValueError, match=f"champion: 'checkpoint/{name}' could run code when loaded and is refused"):
        fetch_champion(server.uri, model, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_checkpoint_that_changed_on_the_server_is_refused(
    server: MlflowServer, sweep: TrackedRun, checkpoint: Path, tmp_path: Path
) -> None:
    name = f"model-{uuid4().hex[:8]}"
    sweep.log_folder(checkpoint, "checkpoint")
    register_champion(server.uri, name, sweep.run_id, score=1)
    sweep.log_text('{"encoders": ["other"]}', "checkpoint/config.json")
    with pytest.raises(ValueError, match="is not what was registered"):
        fetch_champion(server.uri, name, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_champion_the_next_step_is_named(server: MlflowServer, sweep: TrackedRun, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tracking\.model_name: 'nobody' has no champion at .*; run `make sweep`"):
        fetch_champion(server.uri, "nobody", tmp_path)
    with pytest.raises(ValueError, match="holds no folder 'checkpoint'; log the checkpoint first"):
        register_champion(server.uri, "nobody", sweep.run_id, score=1)


def test_a_deleted_experiment_is_told_in_one_line(server: MlflowServer, client: MlflowClient, experiment: str) -> None:
    client.delete_experiment(client.create_experiment(experiment))
    with pytest.raises(ValueError, match=rf"tracking\.experiment: '{experiment}' was deleted in MLflow"):
        open_sweep(server.uri, experiment, "quickstart", sweep_id="s1", params={})


def test_pages_lead_to_the_run_and_to_its_experiment(
    server: MlflowServer, client: MlflowClient, sweep: TrackedRun
) -> None:
    experiment = client.get_run(sweep.run_id).info.experiment_id
    view = "?workflowType=machine_learning"
    assert run_page(server.uri, sweep.run_id) == f"{server.uri}/#/experiments/{experiment}/runs/{sweep.run_id}{view}"
    assert runs_page(server.uri, sweep.run_id) == f"{server.uri}/#/experiments/{experiment}/runs{view}"


def test_what_mlflow_refuses_is_not_hidden(server: MlflowServer, sweep: TrackedRun) -> None:
    with pytest.raises(MlflowException, match="not found"):
        open_trial(server.uri, "0" * 32, "t", {})


def test_no_server_is_one_line() -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    unreached = TrackedRun(uri, "0" * 32, interval_s=0)
    started = time.monotonic()
    unreached.log({"loss": 1.0}, step=1)
    assert time.monotonic() - started < 10
    with pytest.raises(ServerAwayError, match=f"no MLflow server answers at {uri}; start it"):
        unreached.flush(patience_s=0.2)


@pytest.fixture
def gate(server: MlflowServer) -> Iterator[Gate]:
    between = Gate(server.port)
    between.open()
    yield between
    between.close()


def test_points_logged_while_the_server_is_away_arrive_when_it_is_back(
    gate: Gate, client: MlflowClient, experiment: str
) -> None:
    run = open_sweep(gate.uri, experiment, "quickstart", sweep_id="s1", params={})
    run.log({"loss": 3.0}, step=1)
    gate.close()
    run.log({"loss": 2.0}, step=2)
    run.push()
    assert curve(client, run, "loss") == [(1, 3.0)]
    threading.Timer(2, gate.open).start()
    run.log({"loss": 1.0}, step=3)
    run.finish()
    assert curve(client, run, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert client.get_run(run.run_id).info.status == "FINISHED"
