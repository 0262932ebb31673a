"""Stages for tests, as small as they can be."""

from __future__ import annotations

from typing import Any

from opabinia.training.recipe.stages import StageConfig, WrittenStage

_LEAST = {"name": "s", "data": "d", "trains": ("connector",), "batch": 4, "lr": 1e-3, "base_batch": 4}


def stage(**settings: Any) -> StageConfig:
    return StageConfig.model_validate({**_LEAST, "steps": 10, **settings})


def written(**settings: Any) -> WrittenStage:
    return WrittenStage.model_validate({**_LEAST, **settings})
