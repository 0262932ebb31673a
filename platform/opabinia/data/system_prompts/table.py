"""The table of prompt kinds and of the sources that they are added to."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.source_names import source_key
from opabinia.data.tables import read_table
from opabinia.names import unknown

CAMBRIAN = Path(__file__).with_name("cambrian.yaml")


class SourcePrompts(Config):
    """The kinds of prompts that questions of one source get, in the order they are written."""

    always: tuple[str, ...] = ()
    """Kinds for every question."""

    open: tuple[str, ...] = ()
    """Kinds for a question without lettered choices, after those for every question."""

    choices: tuple[str, ...] = ()
    """Kinds for a question that offers lettered choices, after those for every question."""


class PromptTable(Config):
    """Prompt kinds and their assignment to sources, as in cambrian.yaml."""

    kinds: dict[str, Annotated[str, Field(min_length=1)]]
    """Kind -> the sentence that is added."""

    sources: dict[str, SourcePrompts]
    """Source -> the kinds it gets; a source that is not listed is left as it is."""

    @model_validator(mode="after")
    def _kinds_are_known_and_sources_listed_once(self) -> PromptTable:
        seen = dict[str, str]()
        for source, prompts in self.sources.items():
            for kind in (*prompts.always, *prompts.open, *prompts.choices):
                if kind not in self.kinds:
                    raise unknown("prompt kind", kind, self.kinds, place=f"sources.{source}")
            other = seen.setdefault(source_key(source), source)
            if other != source:
                raise ValueError(f"sources: {other!r} and {source!r} are the same source; keep one")
        return self

    @cached_property
    def by_source(self) -> dict[str, SourcePrompts]:
        """`source_key` of each listed source -> its kinds."""
        return {source_key(source): prompts for source, prompts in self.sources.items()}


class SystemPromptConfig(Config):
    """Response-format prompts that are added to the questions of some sources."""

    table: Path | None = None
    """Table of your own (YAML or JSON), or null for the ten kinds and the sources of Cambrian-7M."""


def prompt_table(settings: SystemPromptConfig) -> PromptTable:
    """The table that the settings name. Raises ValueError naming the file, and the nearest kind for one that is unknown."""
    return read_table(PromptTable, settings.table or CAMBRIAN)
