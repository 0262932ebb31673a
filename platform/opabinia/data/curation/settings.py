"""What is kept of a data set, the published ways of choosing it, and the category of each source."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.source_names import source_key
from opabinia.data.tables import read_table
from opabinia.names import unknown

PRESETS = Path(__file__).with_name("presets.yaml")
CATEGORIES = Path(__file__).with_name("categories.yaml")

Shares = dict[str, Annotated[float, Field(gt=0)]]
"""Category -> share, relative to the sum of all shares."""


class Published(Config):
    """What the authors of a preset report of it."""

    records: int | None = None
    """Records that were kept."""

    average: float | None = None
    """Mean over the benchmarks, percent."""


class Preset(Config):
    """A published curation."""

    threshold: int | None = Field(default=None, ge=1)
    """Most records of one source, or null for all."""

    total: int | None = Field(default=None, ge=1)
    """Records in all, or null for as many as the shares allow."""

    shares: Shares = Field(default_factory=dict[str, float])
    """Category -> share, relative to the sum of all shares."""

    published: Published = Published()
    """What the authors report of it."""


class PresetTable(Config):
    """Presets by name, as in presets.yaml."""

    presets: dict[str, Preset]
    """Name -> preset."""


class CategoryTable(Config):
    """Which sources belong to which category, as in categories.yaml."""

    categories: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Category -> names of its sources."""

    @model_validator(mode="after")
    def _a_source_has_one_category(self) -> CategoryTable:
        seen = dict[str, str]()
        for category, sources in self.categories.items():
            for source in sources:
                other = seen.setdefault(source_key(source), category)
                if other != category:
                    raise ValueError(f"categories: {source!r} is listed under {other!r} and {category!r}; keep one")
        return self

    @cached_property
    def by_source(self) -> dict[str, str]:
        """`source_key` of each source -> its category."""
        return {source_key(source): category for category, sources in self.categories.items() for source in sources}


class CurationConfig(Config):
    """Which records are kept; what is given here goes before what the preset says."""

    preset: str | None = None
    """A published curation: cambrian-t150k … -t450k, cambrian-exp1 … -exp5, cambrian-7m-paper, cambrian-7m-readme."""

    threshold: int | None = Field(default=None, ge=1)
    """Most records of one source, drawn at random; null for the preset's, or all."""

    shares: Shares = Field(default_factory=dict[str, float])
    """Category -> share, relative to the sum of all shares; empty for the preset's, or no mixing."""

    total: int | None = Field(default=None, ge=1)
    """Records in all, divided by the shares; null for the preset's, or as many as the shares allow."""

    shortfall: Literal["take-all", "keep-shares"] = "take-all"
    """A category with too few records gives all it has, and the set is smaller; or all are reduced alike, so that the shares hold."""

    categories: Path | None = None
    """Table of your own from categories to sources (YAML or JSON), or null for Cambrian-10M's."""

    seed: int = 0
    """Decides which records are drawn."""

    @model_validator(mode="after")
    def _can_be_resolved(self) -> CurationConfig:
        if self.preset is not None and self.preset not in (known := published_presets()):
            raise unknown("curation preset", self.preset, known, place="preset")
        if self.total is not None and not self.resolved.shares:
            raise ValueError("total: is divided by shares, and there are none; give shares or a preset that has them")
        return self

    @property
    def resolved(self) -> Preset:
        """The threshold, total and shares that hold: those given, else the preset's."""
        preset = Preset() if self.preset is None else published_presets()[self.preset]
        return Preset(
            threshold=self.threshold or preset.threshold,
            total=self.total or preset.total,
            shares=self.shares or preset.shares,
        )


@cache
def published_presets() -> dict[str, Preset]:
    """The presets of presets.yaml by name."""
    return read_table(PresetTable, PRESETS).presets


def category_table(settings: CurationConfig) -> CategoryTable:
    """The table that the settings name. Raises ValueError naming the file."""
    return read_table(CategoryTable, settings.categories or CATEGORIES)


def published_thresholds() -> list[int]:
    """The published thresholds t on records of one source, rising."""
    return sorted(preset.threshold for preset in published_presets().values() if preset.threshold)
