"""What one training run is: everything its workers need to know, and nothing of where they run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.source import DataConfig
from opabinia.data.streaming.batching import check_batch
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.features.config import CacheConfig
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.recipe.stages import StageConfig, rows_at_once
from opabinia.training.safeguards.guard_config import GuardConfig


class WorkersConfig(HardwareConfig):
    """The Ray Train workers of one run, and the hardware that they train on."""

    count: int = Field(default=1, gt=0)
    """Data-parallel workers; where at_least is given, the most of them."""

    at_least: int | None = Field(default=None, gt=0)
    """Train with any number from this to count that the machines have room for and that can share each batch equally; the workers
    begin anew from the last checkpoint whenever that number changes. Null for no other number than count."""

    cpus: float = Field(default=0.5, gt=0)
    """CPUs that each worker reserves; on a small machine leave some for the tasks that stream data."""

    threads: int = Field(default=1, gt=0)
    """Threads that each worker computes with."""

    data_tasks: int = Field(default=2, gt=0)
    """Ray tasks that read data ahead of each worker."""

    max_failures: int = Field(default=0, ge=0)
    """How often a run whose workers died goes on from its last checkpoint before it counts as failed."""

    max_preemptions: int | None = Field(default=None, ge=0)
    """The same for workers whose machine was taken away after a notice, as spot machines are; null for any number of times."""

    @property
    def may_begin_anew(self) -> bool:
        """Whether the workers of a run are started again though no machine gave notice."""
        return self.max_failures > 0 or self.at_least is not None

    @model_validator(mode="after")
    def _range_is_one(self) -> WorkersConfig:
        if self.at_least is not None and self.at_least > self.count:
            raise ValueError(f"at_least: {self.at_least} is more than count, {self.count}; lower it or raise count")
        return self


class RunConfig(Config):
    """One model through all stages."""

    name: str
    seed: int
    model: ModelConfig
    connector_label: str
    """What the connector is called in tables and pictures."""
    variant: str | None = None
    """The variant of a sweep whose stages these are; None for the experiment's own."""
    data: DataConfig
    stages: tuple[StageConfig, ...]
    benchmark: BenchmarkConfig
    inputs: Path
    """The prepared inputs, as `opabinia.training.inputs` writes them."""
    activation_checkpointing: ActivationCheckpointing = ActivationCheckpointing()
    workers: WorkersConfig
    cache: CacheConfig = CacheConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    guard: GuardConfig = GuardConfig()

    @model_validator(mode="after")
    def _workers_can_share_batches(self) -> RunConfig:
        for place, stage in enumerate(self.stages):
            try:
                check_batch(stage.batch, self.workers.count, rows_at_once(stage, self.workers.count))
            except ValueError as error:
                raise ValueError(f"stages.{place}.{error}") from None
        return self

    @model_validator(mode="after")
    def _fewest_workers_can_share_batches(self) -> RunConfig:
        least = self.workers.at_least
        if least is not None and not self.can_share(least):
            fewer = max(workers for workers in range(1, least) if self.can_share(workers))
            raise ValueError(
                f"workers.at_least: {least} workers have no equal shares of each stage's batch "
                f"({', '.join(str(stage.batch) for stage in self.stages)}); use {fewer}"
            )
        return self

    def can_share(self, workers: int) -> bool:
        """Whether so many workers have equal shares of each stage's batch."""
        return all(stage.batch % workers == 0 for stage in self.stages)

    @property
    def worker_counts(self) -> tuple[int, ...]:
        """The numbers of workers that the run may have, in rising order."""
        least = self.workers.at_least or self.workers.count
        return tuple(filter(self.can_share, range(least, self.workers.count + 1)))

    @property
    def reports(self) -> int:
        """How often the run reports over all stages."""
        return sum(stage.reports for stage in self.stages)
