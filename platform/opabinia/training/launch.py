"""Start one run on Ray Train."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray.train import FailureConfig, Result, ScalingConfig
from ray.train import RunConfig as TrainRunConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from opabinia.training.run import RunConfig


def launch(run: RunConfig, storage: Path, callbacks: list[Any]) -> Result:
    """Train and wait. Checkpoints go under `storage`; `callbacks` are Ray Train's, for whoever follows the run."""
    asked_at = time.time()
    trainer = _trainer_class(run)(
        _train,
        train_loop_config={
            "run": run.model_dump_json(),
            "asked_at": asked_at,
            "state": str(storage.resolve() / run.name / "state"),
        },
        scaling_config=ScalingConfig(num_workers=run.workers.count, resources_per_worker={"CPU": run.workers.cpus}),
        run_config=TrainRunConfig(
            name=run.name,
            storage_path=str(storage.resolve()),
            callbacks=callbacks,
            failure_config=FailureConfig(max_failures=run.workers.max_failures),
        ),
    )
    return trainer.fit()


def _train(settings: dict[str, Any]) -> None:
    """Imported by the processes that start and watch workers too; only workers should pay for torch, in time and in memory."""
    from opabinia.training.worker import train_worker

    train_worker(settings)


def _trainer_class(run: RunConfig) -> type[DataParallelTrainer]:
    """Several workers need a process group of torch's; one does not, and starts faster without."""
    if run.workers.count == 1:
        return DataParallelTrainer
    from ray.train.torch import TorchTrainer

    return TorchTrainer
