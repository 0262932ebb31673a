"""The plan of a sweep as its user asks for it: with no cluster, with one, and left in MLflow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from opabinia.sweeps.planning.machines import cluster_machines
from opabinia.sweeps.planning.waiting import what_is_awaited
from opabinia.training.run import WorkersConfig
from tests.e2e.mlflow_server import MlflowServer

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]

QWEN = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960,
    "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936,
    "tie_word_embeddings": True,
}  # fmt: skip


def plan(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "jobs" / "sweep_encoders.py"), "--plan", *flags]
    environment = {**os.environ, "RAY_ADDRESS": "local", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_a_plan_says_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = plan(tmp_path, "--sweep.seeds", "null", "--sweep.repeats", "3")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("plan of quickstart: 42 trials = 14 configurations × 3 seeds; nothing was started")
    assert all(f"\n{line} " in done.stdout for line in ("time", "devices", "money", "features"))
    assert list(tmp_path.iterdir()) == []


def test_encoders_and_a_language_model_whose_weights_are_not_here_are_planned(tmp_path: Path) -> None:
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "config.json").write_text(json.dumps(QWEN))
    encoders = '[["cambrian/siglip-so-384"], ["cambrian/siglip-so-384", "cambrian/convnext-xxl-1024"]]'
    done = plan(tmp_path, "--language_model", "lm", "--sweep.encoder_sets", encoders)
    assert done.returncode == 0, done.stderr[-2000:]
    # Of Qwen2.5-1.5B 1.54 billion, of SigLIP 413 million (both as published), and the connector.
    assert re.search(r"^siglip-so-384\.mlp2x_gelu +1 +1\.96 B ", done.stdout, re.MULTILINE), done.stdout


def test_a_plan_is_left_in_mlflow_when_asked_for(tmp_path: Path, server: MlflowServer) -> None:
    done = plan(tmp_path, "--log_plan", "--tracking.uri", server.uri, "--tracking.experiment", "planned")
    assert done.returncode == 0, done.stderr[-2000:]
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name("planned")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["plan/dollars"] > 0
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"plan.txt", "plan.json"}


@pytest.mark.usefixtures("local_ray")
def test_what_the_cluster_lacks_is_refused_by_the_plan_and_told_by_a_run() -> None:
    machines = cluster_machines()
    assert machines.total("CPU") == 2
    assert what_is_awaited(WorkersConfig(cpus=0.5), machines) is None
    line = what_is_awaited(WorkersConfig(hardware="cuda"), machines)
    assert line is not None
    assert line.startswith(
        "runs wait until machines join the cluster: workers.hardware: cuda needs a GPU for each worker"
    )
