"""Searches as their users run them: HyperBand pauses trials, which go on from where they were; TPE draws trials, and more."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from tests.e2e.mlflow_server import MlflowServer
from tests.e2e.test_sweep import Finished, run_job
from tests.e2e.test_sweep_resume import kill_when, logs, trained

pytestmark = pytest.mark.e2e

STAGE = {
    "name": "instruct", "data": "instruction", "trains": ["connector", "language_model"],
    "steps": 6, "batch": 8, "lr": 1e-3, "base_batch": 32, "reports": 2,
}  # fmt: skip
VARIANTS = {"careful": {"stages": [{**STAGE, "trains": ["connector"]}]}, "whole": {"stages": [STAGE]}}
FLAGS = (
    *("--world.scenes", "80", "--world.facts", "6", "--world.benchmark", "8", "--sweep.pool", "[]"),
    *("--sweep.encoder_sets", '[["burgess/dense-convnext"]]', "--sweep.connectors", '[{"type": "sva"}]'),
    *("--stages.0.steps", "2", "--stages.0.batch", "8", "--stages.1.steps", "4", "--stages.1.reports", "1"),
    *("--stages.1.batch", "8", "--language_model", "burgess/language-model", "--checkpoints.every_minutes", "1e-6"),
)
SEARCHED = ("--tracking.experiment", "searched")
CUT_OFF = ("--tracking.experiment", "cut off")
HYPERBAND = (
    *("--sweep.variants", json.dumps(VARIANTS), "--sweep.space", '{"connector.sva.depth": [1, 2]}'),
    *("--sweep.scheduler", '{"type": "hyperband"}', "--name", "paused", "--output", "runs/quickstart"),
)
SPACE = {
    "connector.sva.depth": [1, 2],
    "stages.align.lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "stages.instruct.batch": [8, 16],
}
TPE = (
    *("--sweep.space", json.dumps(SPACE), "--sweep.scheduler", "null", "--sweep.max_concurrent", "1"),
    *("--name", "drawn", "--output", "runs/quickstart"),
)


def tpe(samples: int) -> tuple[str, ...]:
    return (*TPE, "--sweep.search", json.dumps({"type": "tpe", "samples": samples, "startup": 1}))


@pytest.fixture(scope="module")
def paused_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hyperband")


@pytest.fixture(scope="module")
def paused(paused_folder: Path, server: MlflowServer) -> Finished:
    done = run_job(paused_folder, server.uri, *FLAGS, *SEARCHED, *HYPERBAND)
    assert done.code == 0, done.errors[-3000:]
    return done


@pytest.fixture(scope="module")
def drawn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tpe")


@pytest.fixture(scope="module")
def drawn(drawn_folder: Path, server: MlflowServer) -> tuple[dict[str, Any], Finished, Finished]:
    """The logs after a first sweep, that sweep, and the same extended by a sample."""
    first = run_job(drawn_folder, server.uri, *FLAGS, *SEARCHED, *tpe(1))
    assert first.code == 0, first.errors[-3000:]
    before = logs(drawn_folder)
    more = run_job(drawn_folder, server.uri, *FLAGS, *SEARCHED, *tpe(2), "--extend", "latest")
    assert more.code == 0, more.errors[-3000:]
    return before, first, more


def endings(entries: Iterable[dict[str, Any]]) -> list[str | None]:
    return [entry["ended"] for entry in entries if "ended" in entry]


def losses(folder: Path) -> dict[str, dict[int, float]]:
    """By trial and step. A point may be told twice, for nobody may have heard the report before a pause, but never with two losses."""
    found = dict[str, dict[int, float]]()
    for name, entries in logs(folder).items():
        told: list[Any] = [entry["told"] for entry in entries if "told" in entry]
        for point in [point for report in told for point in report["curve"]]:
            assert found.setdefault(name, {}).setdefault(point["step"], point["loss"]) == point["loss"]
    return found


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    """Of what the sweep wrote at its end."""
    (results,) = (folder / "runs" / "quickstart" / "sweeps").glob("*/results")
    return {one["trial_id"]: one["with_image"] for one in json.loads((results / "reports.json").read_text())}


def test_hyperband_pauses_trials_and_the_better_one_goes_on_from_its_own_state(
    paused: Finished, paused_folder: Path
) -> None:
    """Two reports: two trials pause at the first and one of them goes on; two others are trained whole."""
    told: dict[str, Any] = logs(paused_folder)
    trained_steps = {name: list(of_trial) for name, of_trial in losses(paused_folder).items()}
    assert len(told) == 4
    assert sorted(map(tuple, map(endings, told.values()))) == [
        ("finished",),
        ("finished",),
        ("paused",),
        ("paused", None, "finished"),
    ]
    for name, entries in told.items():
        whole = endings(entries)[-1] == "finished"
        assert trained_steps[name] == list(range(1, (6 if whole else 3) + 1))
    assert len(trained(paused.output)) == 5


def test_every_variant_is_trained_and_ranked(paused: Finished, paused_folder: Path) -> None:
    (results,) = (paused_folder / "runs" / "quickstart" / "sweeps").glob("*/results")
    reports = {one["trial_id"]: one for one in json.loads((results / "reports.json").read_text())}
    assert reports.keys() == {
        f"dense-convnext.sva,{variant},depth={depth}.s0" for variant in VARIANTS for depth in (1, 2)
    }
    assert sorted(one["status"] for one in reports.values()) == ["finished"] * 3 + ["stopped"]
    assert "champion  dense-convnext.sva," in paused.output


def test_mlflow_has_each_step_of_a_paused_trial_once(paused: Finished, server: MlflowServer) -> None:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("searched")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    mine = [run for run in runs if "sva,careful" in str(run.info.run_name) or "sva,whole" in str(run.info.run_name)]
    assert len(mine) == 4
    for run in mine:
        losses = [point.step for point in client.get_metric_history(run.info.run_id, "loss")]
        assert sorted(losses) == list(range(1, len(losses) + 1))
        assert len(losses) in (3, 6)


def test_tpe_draws_as_many_as_were_asked_for_and_extends_by_what_is_missing(
    drawn: tuple[dict[str, Any], Finished, Finished], drawn_folder: Path
) -> None:
    before, first, more = drawn
    after = logs(drawn_folder)
    assert len(before) == 1 and len(after) == 2
    assert trained(first.output) == list(before)
    assert trained(more.output) == [name for name in after if name not in before]
    assert {name: after[name] for name in before} == before


def test_a_trial_is_what_its_name_says(drawn: tuple[dict[str, Any], Finished, Finished], drawn_folder: Path) -> None:
    for name, entries in logs(drawn_folder).items():
        run: Any = entries[0]["run"]
        align, instruct = run["stages"]
        said = f"sva,depth={run['model']['connector']['depth']},align.lr={align['lr']:g},instruct.batch={instruct['batch']}"
        assert name == f"dense-convnext.{said}.s0"
        first: Any = next(entry for entry in entries if "told" in entry)
        # 2 steps of batch 8, stated at a base batch of 32: the rate follows the root of a quarter.
        rates = [value for key, value in first["told"]["curve"][-1].items() if key.startswith("lr/")]
        assert rates and all(rate == pytest.approx(align["lr"] * 0.5, rel=1e-6) for rate in rates)


def is_in_its_second_trial(folder: Path) -> bool:
    told: list[Any] = [entries for entries in logs(folder).values() if any("told" in entry for entry in entries)]
    return len(told) == 2


def goes_on_after_a_pause(folder: Path) -> bool:
    told: dict[str, Any] = logs(folder)
    return any(endings(entries) == ["paused", None] for entries in told.values())


@pytest.mark.usefixtures("drawn")
def test_a_tpe_search_that_was_killed_draws_and_trains_what_it_would_have(
    drawn_folder: Path, tmp_path: Path, server: MlflowServer
) -> None:
    flags = (*FLAGS, *CUT_OFF, *tpe(2))
    kill_when(lambda: is_in_its_second_trial(tmp_path), tmp_path, server.uri, *flags)
    killed: dict[str, Any] = logs(tmp_path)
    (unfinished,) = [name for name, entries in killed.items() if not endings(entries)]
    resumed = run_job(tmp_path, server.uri, *flags, "--resume", "latest")
    assert resumed.code == 0, resumed.errors[-3000:]
    assert trained(resumed.output) == [unfinished]
    assert losses(tmp_path) == losses(drawn_folder)
    assert scores(tmp_path) == scores(drawn_folder)


@pytest.mark.usefixtures("paused")
def test_a_hyperband_sweep_that_was_killed_pauses_and_ranks_what_it_would_have(
    paused_folder: Path, tmp_path: Path, server: MlflowServer
) -> None:
    flags = (*FLAGS, *CUT_OFF, *HYPERBAND)
    kill_when(lambda: goes_on_after_a_pause(tmp_path), tmp_path, server.uri, *flags)
    killed: dict[str, Any] = logs(tmp_path)
    over = {name for name, entries in killed.items() if endings(entries) in (["paused"], ["finished"])}
    resumed = run_job(tmp_path, server.uri, *flags, "--resume", "latest")
    assert resumed.code == 0, resumed.errors[-3000:]
    assert over.isdisjoint(trained(resumed.output))
    assert losses(tmp_path) == losses(paused_folder)
    assert scores(tmp_path) == scores(paused_folder)
