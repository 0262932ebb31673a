"""What one training run is: everything its workers need to know, and nothing of where they run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.source import DataConfig
from opabinia.data.streaming.batching import check_batch
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.features.config import CacheConfig
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.guard_config import GuardConfig
from opabinia.training.parts import ENCODERS, nearest_of
from opabinia.training.stages import StageConfig, rows_at_once


class WorkersConfig(Config):
    """The Ray Train workers of one run."""

    count: int = Field(default=1, gt=0)
    """Data-parallel workers."""

    cpus: float = Field(default=0.5, gt=0)
    """CPUs that each worker reserves; on a small machine leave some for the tasks that stream data."""

    threads: int = Field(default=1, gt=0)
    """Threads that each worker computes with."""

    data_tasks: int = Field(default=2, gt=0)
    """Ray tasks that read data ahead of each worker."""

    max_failures: int = Field(default=0, ge=0)
    """How often a run whose workers died goes on from its last checkpoint before it counts as failed."""


class RunConfig(Config):
    """One model through all stages."""

    name: str
    seed: int
    model: ModelConfig
    connector_label: str
    """What the connector is called in tables and pictures."""
    data: DataConfig
    stages: tuple[StageConfig, ...]
    benchmark: BenchmarkConfig
    inputs: Path
    """The prepared inputs, as `opabinia.training.inputs` writes them."""
    workers: WorkersConfig
    cache: CacheConfig = CacheConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    guard: GuardConfig = GuardConfig()

    @model_validator(mode="after")
    def _encoders_stay_frozen(self) -> RunConfig:
        for place, stage in enumerate(self.stages):
            if stage.alone is not None or any(nearest_of(part, [ENCODERS]) for part in stage.trains):
                raise ValueError(
                    f"stages.{place}: a run reads its encoders' features and cannot train encoders; take alone and encoders out of it"
                )
        return self

    @model_validator(mode="after")
    def _workers_can_share_batches(self) -> RunConfig:
        for place, stage in enumerate(self.stages):
            try:
                check_batch(stage.batch, self.workers.count, rows_at_once(stage, self.workers.count))
            except ValueError as error:
                raise ValueError(f"stages.{place}.{error}") from None
        return self

    @property
    def reports(self) -> int:
        """How often the run reports over all stages."""
        return sum(stage.reports for stage in self.stages)
