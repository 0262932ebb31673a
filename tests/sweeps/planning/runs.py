"""Runs for tests of plans, of the shipped parts, and the data that they would see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.settings.mlp import MlpSettings
from opabinia.data.source import DataConfig, SourceConfig
from opabinia.evaluation.questions import BenchmarkConfig
from opabinia.features.config import CacheConfig
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.multimodal_config import ModelConfig
from opabinia.sweeps.planning.workload import Workload, Workloads
from opabinia.training.run import RunConfig, WorkersConfig
from tests.models.small import ENCODERS, LANGUAGE_MODEL
from tests.training.stages import stage


def run_of(
    name: str = "a.mlp2x_gelu.s0",
    *,
    connector: ConnectorConfig | None = None,
    stages: tuple[Any, ...] = (),
    encoders: tuple[str, ...] = ENCODERS,
    cached: bool = True,
    seed: int = 0,
    language_model: str = LANGUAGE_MODEL,
    **workers: Any,
) -> RunConfig:
    connector = connector or MlpSettings()
    return RunConfig(
        name=name,
        seed=seed,
        model=ModelConfig(encoders=encoders, connector=connector, language_model=language_model),
        connector_label=connector.type,
        stages=stages or (stage(),),
        workers=WorkersConfig.model_validate(workers),
        data=DataConfig(sources={"d": SourceConfig(shards="shards", images="images")}),
        inputs=Path("inputs.json"),
        benchmark=BenchmarkConfig(folder="benchmark", images="images", max_new_tokens=4),
        cache=CacheConfig(enabled=cached),
    )


def seen(text: float = 10, pictures: float = 1, questions: int | None = None, distinct: int | None = 100) -> Workloads:
    return Workloads({"d": Workload(100, text, pictures, "audited")}, None, distinct, questions)
