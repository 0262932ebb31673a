"""A small tree of settings with every kind of field that the experiment file uses."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from connectors.settings.sva import SvaSettings
from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig


class Cache(Config):
    """Where features are kept."""

    enabled: bool = True
    """Keep them at all."""


class Stage(Config):
    """One training stage."""

    name: str
    lr: float = Field(gt=0)
    """Peak learning rate."""
    steps: int = 10
    trains: tuple[Literal["connector", "language_model"], ...] = ("connector",)
    rates: dict[Literal["connector", "language_model"], float] = Field(default={})


class Source(Config):
    folder: Path


class Tree(Config):
    """Everything at once."""

    name: str
    """What it is called."""
    seed: int = Field(default=0, ge=0)
    limit: int | None = None
    encoders: tuple[str, ...] = ("a", "b")
    sets: tuple[tuple[str, ...], ...] | Literal["all_subsets"] = "all_subsets"
    cache: Cache | None = None
    kept: Cache = Field(default_factory=lambda: Cache(enabled=False))
    connector: ConnectorConfig = SvaSettings(width=64)
    stages: tuple[Stage, ...] = (Stage(name="one", lr=0.1), Stage(name="two", lr=0.2))
    sources: dict[str, Source] = Field(default={})

    @model_validator(mode="after")
    def _names_differ(self) -> Tree:
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("stages.1.name: given twice; choose another")
        return self
