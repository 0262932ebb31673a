"""Start one run on Ray Train."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import ray
from ray.train import FailureConfig, Result, ScalingConfig
from ray.train import RunConfig as TrainRunConfig

from opabinia.storage.addresses import join_address
from opabinia.training.backends.choose import Chosen, choose
from opabinia.training.backends.workers import backend_config, scaling_config
from opabinia.training.run import RunConfig, WorkersConfig
from opabinia.training.trainer import Trainer


def launch(run: RunConfig, storage: Path, callbacks: list[Any]) -> Result:
    """Train and wait, on the hardware that the cluster has now. What is reported goes under `storage`; `callbacks` are Ray Train's,
    for whoever follows the run. Raises ValueError where the hardware, or so many workers on it, cannot be had.
    """
    return make_trainer(run, storage, callbacks, cast("list[dict[str, Any]]", ray.nodes())).fit()


def make_trainer(run: RunConfig, storage: Path, callbacks: list[Any], nodes: Iterable[Mapping[str, Any]]) -> Trainer:
    """What trains the run on a cluster of `nodes`, as `ray.nodes()` describes them. Raises ValueError like `launch`."""
    chosen = _choose(run.workers, nodes)
    counts = _counts(run, chosen)
    return Trainer(
        _train,
        train_loop_config={
            "run": run.model_dump_json(),
            "asked_at": time.time(),
            "state": state_address(run, storage),
            "hardware": chosen.hardware,
        },
        scaling_config=_scaling(run.workers, chosen, counts),
        counts=counts,
        backend_config=backend_config(chosen, run.workers.count),
        run_config=TrainRunConfig(
            name=run.name,
            storage_path=str(storage.resolve()),
            callbacks=callbacks,
            failure_config=_failures(run.workers),
        ),
    )


def state_address(run: RunConfig, storage: Path) -> str:
    """Where the state is saved from which the run goes on."""
    return join_address(run.checkpoints.address or storage.resolve(), f"{run.name}/state")


def _train(settings: dict[str, Any]) -> None:
    """Imported by the processes that start and watch workers too; only workers should pay for torch, in time and in memory."""
    from opabinia.training.worker import train_worker

    train_worker(settings)


def _choose(workers: WorkersConfig, nodes: Iterable[Mapping[str, Any]]) -> Chosen:
    try:
        return choose(workers, nodes)
    except ValueError as error:
        raise ValueError(f"workers.{error}") from None


def _counts(run: RunConfig, chosen: Chosen) -> tuple[int, ...]:
    """The numbers of workers that the run may have on that hardware; raises ValueError where workers.count is none of them."""
    scaling_config(chosen, run.workers.count, run.workers.cpus)
    return tuple(count for count in run.worker_counts if _is_whole(chosen, count))


def _is_whole(chosen: Chosen, count: int) -> bool:
    try:
        scaling_config(chosen, count, cpus=1)
    except ValueError:
        return False
    return True


def _scaling(workers: WorkersConfig, chosen: Chosen, counts: Sequence[int]) -> ScalingConfig:
    scaling = scaling_config(chosen, workers.count, workers.cpus)
    if workers.at_least is None:
        return scaling
    return dataclasses.replace(scaling, num_workers=(counts[0], workers.count))


def _failures(workers: WorkersConfig) -> FailureConfig:
    preemptions = -1 if workers.max_preemptions is None else workers.max_preemptions
    return FailureConfig(max_failures=workers.max_failures, max_preemption_failures=preemptions)
