"""Start one run on Ray Train."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ray.data
from ray.train import DataConfig, Result, ScalingConfig
from ray.train import RunConfig as TrainRunConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from opabinia.data.pipeline import execution_options
from opabinia.data.stream import stream_source
from opabinia.training.inputs import TrainingInputs, load_inputs
from opabinia.training.run import RunConfig


def launch(run: RunConfig, storage: Path, callbacks: list[Any]) -> Result:
    """Train and wait. Checkpoints go under `storage`; `callbacks` are Ray Train's, for whoever follows the run."""
    asked_at = time.time()
    inputs = load_inputs(run.inputs)
    trainer = _trainer_class(run)(
        _train,
        train_loop_config={"run": run.model_dump_json(), "asked_at": asked_at},
        datasets={stage.name: _stream(run, place, inputs) for place, stage in enumerate(run.stages)},
        # With one worker nothing is split, which spares a coordinating process.
        dataset_config=DataConfig(
            datasets_to_split="all" if run.workers.count > 1 else [], execution_options=execution_options()
        ),
        scaling_config=ScalingConfig(num_workers=run.workers.count, resources_per_worker={"CPU": run.workers.cpus}),
        run_config=TrainRunConfig(name=run.name, storage_path=str(storage.resolve()), callbacks=callbacks),
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


def check_batches(run: RunConfig) -> None:
    """Raises ValueError when a stage's batch cannot be shared equally by the workers."""
    for place, stage in enumerate(run.stages):
        if stage.batch % run.workers.count:
            nearest = max(1, round(stage.batch / run.workers.count)) * run.workers.count
            raise ValueError(
                f"stages.{place}.batch: {stage.batch} samples cannot be shared by {run.workers.count} workers; use {nearest}"
            )


def _stream(run: RunConfig, place: int, inputs: TrainingInputs) -> ray.data.Dataset:
    stage = run.stages[place]
    return stream_source(
        stage.data,
        run.data.sources[stage.data],
        tokenizer_folder=str(inputs.tokenizer),
        seed=run.seed * 1000 + place,
        samples=stage.steps * stage.batch,
        image_keys=inputs.image_keys[stage.data],
        max_length=run.data.max_length,
        rejected=inputs.rejected[stage.data],
    )
