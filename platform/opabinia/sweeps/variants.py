"""Ways to train that a sweep compares: other stages for the same encoders and connectors."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.training.recipe.presets import Recipe, with_recipe
from opabinia.training.recipe.stages import WrittenStage


class Variant(Config):
    """The stages of one way to train, in the place of the experiment's own."""

    recipe: Recipe | None = None
    """A published recipe that gives the stages; those written here then change single fields of its own, by name or place."""

    stages: tuple[WrittenStage, ...] = Field(min_length=1)
    """The training stages, one after another: what learns, on which data, at which rates and batch, for how long."""

    @model_validator(mode="before")
    @classmethod
    def _recipe_gives_stages(cls, document: Any) -> Any:
        return with_recipe(document)


def check_variant_name(name: str) -> None:
    """Raises ValueError for a name that cannot be part of the names of trials, and so of folders."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"variants.{name}: names trials and folders; use small letters, digits, - and _")
