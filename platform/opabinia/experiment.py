"""The experiment file: one typed tree that composes each room's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from connectors.settings.sva import SvaSettings
from opabinia.burgess.config import WorldConfig
from opabinia.config import Config
from opabinia.data.source import DataConfig
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.features.config import CacheConfig
from opabinia.models.activation_checkpointing_config import ActivationCheckpointing
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.lora_config import LoraSettings
from opabinia.names import configuration_name, unknown
from opabinia.serving.config import ServingConfig
from opabinia.studies.config import StudyConfig
from opabinia.sweeps.space import SweepConfig, trials
from opabinia.tracking.config import TrackingConfig
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.recipe.presets import Recipe, with_recipe
from opabinia.training.recipe.stages import WrittenStage
from opabinia.training.run import WorkersConfig
from opabinia.training.safeguards.guard_config import GuardConfig


class Experiment(Config):
    """Everything that decides what a job computes."""

    name: str = Field(min_length=1)
    """What the experiment is called where its results are kept."""

    seed: int = Field(default=0, ge=0)
    """Fixes the order of the data and the first weights of a single run; a sweep has seeds of its own, or counts on from this one
    (sweep.repeats)."""

    output: Path
    """Folder for everything that the experiment writes; it belongs to this experiment alone."""

    world: WorldConfig | None = None
    """The toy world to render before anything else, or null where the data exist already."""

    data: DataConfig
    """The training data."""

    language_model: str = Field(default="burgess/language-model", min_length=1)
    """A language model that ships with the package, or a folder in Hugging Face format."""

    lora: LoraSettings | None = None
    """Train adapters in the language model in place of its weights; they are merged into what is reported. Needs the extra lora."""

    encoders: tuple[str, ...] = ()
    """The vision encoders of a single run (jobs/train.py); a sweep has its own."""

    connector: ConnectorConfig = SvaSettings()
    """The connector of a single run (jobs/train.py); a sweep has its own."""

    cache: CacheConfig = CacheConfig()
    """Whether the encoders' features are computed once and shared."""

    recipe: Recipe | None = None
    """A published recipe that gives the stages; those written here then change single fields of its own, by name or place."""

    stages: tuple[WrittenStage, ...] = Field(min_length=1)
    """The training stages, one after another."""

    activation_checkpointing: ActivationCheckpointing = ActivationCheckpointing()
    """Which activations are computed again in the backward pass, where memory is short."""

    workers: WorkersConfig = WorkersConfig()
    """The Ray Train workers of each run."""

    checkpoints: CheckpointConfig = CheckpointConfig()
    """When the state of a run is saved, from which it goes on after a failure."""

    guard: GuardConfig = GuardConfig()
    """Which steps are skipped, because their loss is no number or a spike, and how many before a run ends."""

    benchmark: BenchmarkConfig
    """The held-out questions that models are scored on."""

    sweep: SweepConfig | None = None
    """What a sweep compares, or null for single runs only."""

    # Left out of what is written where it is not given: a sweep that was begun before there were studies can be gone on with.
    study: StudyConfig | None = Field(default=None, exclude_if=lambda study: study is None)
    """The published study that the sweep repeats, and what it found; jobs/report_study.py says which of it appears."""

    tracking: TrackingConfig = TrackingConfig()
    """Where results are kept."""

    serving: ServingConfig = ServingConfig()
    """How the winner is served."""

    @model_validator(mode="before")
    @classmethod
    def _recipe_gives_stages(cls, document: Any) -> Any:
        return with_recipe(document)

    @property
    def swept_stages(self) -> Mapping[str | None, tuple[WrittenStage, ...]]:
        """Those of each variant of the sweep, by its name; the experiment's own under None where it compares no variants."""
        variants = self.sweep.variants if self.sweep else {}
        return {name: variant.stages for name, variant in variants.items()} or {None: self.stages}

    def stages_of(self, variant: str | None) -> tuple[WrittenStage, ...]:
        """Those of a variant of the sweep, or the experiment's own. Raises ValueError where there is no such variant."""
        if variant is None:
            return self.stages
        variants = self.sweep.variants if self.sweep else {}
        if variant not in variants:
            raise unknown("variant", variant, variants, place="variant")
        return variants[variant].stages

    @model_validator(mode="after")
    def _stages_are_consistent(self) -> Experiment:
        for variant, stages in {None: self.stages, **self.swept_stages}.items():
            prefix = "" if variant is None else f"sweep.variants.{variant}."
            names = [stage.name for stage in stages]
            for place, stage in enumerate(stages):
                field = f"{prefix}stages.{place}"
                if stage.data not in self.data.sources:
                    raise unknown("data source", stage.data, self.data.sources, place=f"{field}.data")
                if stage.name in names[:place]:
                    first = f"{prefix}stages.{names.index(stage.name)}"
                    raise ValueError(f"{field}.name: {stage.name!r} names {first} already; choose another")
        return self

    @model_validator(mode="after")
    def _scheduler_can_act(self) -> Experiment:
        scheduler = self.sweep.scheduler if self.sweep else None
        reports = min(sum(stage.reports for stage in stages) for stages in self.swept_stages.values())
        if scheduler and scheduler.grace > reports:
            raise ValueError(
                f"sweep.scheduler.grace: {scheduler.grace} is more than the {reports} reports that the stages give; "
                "lower it, raise stages.N.reports, or write scheduler: null to stop nothing early"
            )
        return self

    @model_validator(mode="after")
    def _study_speaks_of_trials(self) -> Experiment:
        if self.study is None:
            return self
        if self.sweep is None:
            raise ValueError("study: is about a sweep, and there is none; add one, or leave study out")
        known = {configuration_name(trial.name, trial.seed) for trial in trials(self.sweep, self.seed)}
        for name in sorted(self.study.names() - known):
            raise unknown("configuration", name, known, place="study")
        return self
