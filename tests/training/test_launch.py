"""Starting a run: the workers and the hardware it asks Ray Train for, and what the processes that start it must not cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ray.train.backend import BackendConfig
from ray.train.torch import TorchConfig

from connectors.settings.sva import SvaSettings
from opabinia.data.source import DataConfig, SourceConfig
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.backends.xla_workers import XlaConfig
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.launch import make_trainer, state_address
from opabinia.training.run import RunConfig, WorkersConfig
from opabinia.training.trainer import Trainer
from tests.training.stages import stage

CPU = {"Alive": True, "Resources": {"CPU": 8.0}, "Labels": {}}
GPU = {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 8.0}, "Labels": {}}
TPU = {
    "Alive": True,
    "Resources": {"CPU": 8.0, "TPU": 4.0},
    "Labels": {"ray.io/tpu-topology": "2x2x2", "ray.io/accelerator-type": "TPU-V4"},
}


def run_with(batches: tuple[int, ...] = (16,), address: str | None = None, **workers: Any) -> RunConfig:
    return RunConfig(
        name="a-run",
        seed=3,
        model=ModelConfig(
            encoders=("burgess/caption-vit",), connector=SvaSettings(), language_model="burgess/language-model"
        ),
        connector_label="sva",
        stages=tuple(stage(batch=batch) for batch in batches),
        workers=WorkersConfig.model_validate(workers),
        data=DataConfig(sources={"d": SourceConfig(shards="shards", images="images")}),
        inputs=Path("inputs"),
        benchmark=BenchmarkConfig(folder="benchmark", images="images"),
        checkpoints=CheckpointConfig(address=address),
    )


def trainer(folder: Path, node: dict[str, Any] = CPU, **workers: Any) -> Trainer:
    return make_trainer(run_with(**workers), folder, [], [node])


@pytest.mark.parametrize(
    "module", ["opabinia.training.launch", "opabinia.sweeps.sweep", "opabinia.features.build", "opabinia.preparation"]
)
def test_planning_imports_no_torch(module: str) -> None:
    """torch takes some 300 MB and two seconds in each of the dozen processes of a sweep."""
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_workers_are_asked_for_on_the_hardware_that_the_cluster_has(tmp_path: Path) -> None:
    on_cpu, on_gpu = trainer(tmp_path, cpus=0.5), trainer(tmp_path, GPU, count=2)
    assert on_cpu.train_loop_config["hardware"] == "cpu"
    assert on_cpu.scaling_config.resources_per_worker == {"CPU": 0.5}
    assert type(on_cpu.backend_config) is BackendConfig
    assert on_gpu.train_loop_config["hardware"] == "cuda"
    assert on_gpu.scaling_config.use_gpu
    assert isinstance(on_gpu.backend_config, TorchConfig) and on_gpu.backend_config.backend == "nccl"


def test_what_is_asked_for_is_taken_though_the_cluster_has_more(tmp_path: Path) -> None:
    made = trainer(tmp_path, GPU, count=2, hardware="cpu")
    assert made.train_loop_config["hardware"] == "cpu"
    assert not made.scaling_config.use_gpu
    assert isinstance(made.backend_config, TorchConfig) and made.backend_config.backend == "gloo"


def test_the_hosts_of_tpu_slices_are_reserved_together(tmp_path: Path) -> None:
    """In a slice of 2x2x2 chips two hosts have four each; Ray Train reserves whole slices where it knows their shape."""
    made = trainer(tmp_path, TPU, hardware="xla", count=4, at_least=1)
    assert made.train_loop_config["hardware"] == "xla"
    assert made.scaling_config.use_tpu
    assert made.scaling_config.topology == "2x2x2"
    assert made.scaling_config.resources_per_worker == {"CPU": 0.5, "TPU": 4}
    assert made.scaling_config.num_workers == (2, 4)
    assert isinstance(made.backend_config, XlaConfig)


def test_what_cannot_be_had_is_said_by_the_field_of_the_experiment(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^workers\.topology: the cluster shows no slice"):
        trainer(tmp_path, CPU, hardware="xla")
    with pytest.raises(ValueError, match=r"^workers\.count: 3 do not fill slices of 2x2x2, which take 2 each; use 4"):
        trainer(tmp_path, TPU, hardware="xla", count=3, batches=(12,))


def test_failures_and_preemptions_have_budgets_of_their_own(tmp_path: Path) -> None:
    budget = trainer(tmp_path, max_failures=3, max_preemptions=5).run_config.failure_config
    assert (budget.max_failures, budget.max_preemption_failures) == (3, 5)
    budget = trainer(tmp_path).run_config.failure_config
    assert (budget.max_failures, budget.max_preemption_failures) == (0, -1)


def test_the_number_of_workers_is_fixed_unless_a_least_one_is_given(tmp_path: Path) -> None:
    assert trainer(tmp_path, count=4).scaling_config.num_workers == 4
    assert trainer(tmp_path, count=4, at_least=2).scaling_config.num_workers == (2, 4)
    assert trainer(tmp_path, count=2, at_least=1).backend_config.backend == "gloo"


@given(st.integers(1, 24), st.integers(1, 24), st.lists(st.integers(1, 6), min_size=1, max_size=3))
def test_a_run_has_only_numbers_of_workers_that_share_each_batch_equally(
    count: int, least: int, multiples: list[int]
) -> None:
    batches = tuple(count * least * multiple for multiple in multiples)
    counts = run_with(batches, count=max(count, least), at_least=min(count, least)).worker_counts
    assert counts == tuple(
        workers
        for workers in range(min(count, least), max(count, least) + 1)
        if all(batch / workers == batch // workers for batch in batches)
    )
    assert {count, least} <= set(counts)


def test_a_least_number_that_cannot_share_a_batch_is_refused_with_the_nearest_that_can() -> None:
    with pytest.raises(ValidationError, match=r"workers\.at_least: 7 workers .* \(48, 32\); use 4"):
        run_with((48, 32), count=8, at_least=7)
    with pytest.raises(ValidationError, match=r"at_least: 3 is more than count, 2; lower it or raise count"):
        WorkersConfig(count=2, at_least=3)


def test_hardware_stands_among_the_workers_and_an_older_experiment_has_what_it_had() -> None:
    workers = WorkersConfig.model_validate({"count": 2, "hardware": "cuda", "precision": "float32"})
    assert isinstance(workers, HardwareConfig)
    assert (workers.hardware, workers.precision, workers.sharding) == ("cuda", "float32", "replicated")
    before = WorkersConfig.model_validate({"count": 1, "cpus": 0.5, "threads": 1, "data_tasks": 2, "max_failures": 0})
    assert before == WorkersConfig()
    assert (before.hardware, before.at_least, before.max_preemptions) == ("auto", None, None)


def test_the_state_is_kept_in_the_runs_folder_or_below_an_address(tmp_path: Path) -> None:
    assert state_address(run_with(), tmp_path) == f"{tmp_path}/a-run/state"
    assert state_address(run_with(address="s3://bucket/runs/"), tmp_path) == "s3://bucket/runs/a-run/state"
    assert state_address(run_with(address="/shared"), tmp_path) == "/shared/a-run/state"


@pytest.mark.parametrize(
    ("address", "said"), [("runs", "workers run in folders of their own; write /"), ("ftp://x/y", "write s3://, gs://")]
)
def test_an_address_that_workers_do_not_reach_is_refused(address: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CheckpointConfig(address=address)
