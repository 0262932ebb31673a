"""Where the training data lie, and which of its shards exist."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.conversations.formats import find_format
from opabinia.storage.addresses import absolute_address, parse_address
from opabinia.storage.folders import list_files
from opabinia.storage.objects import size
from opabinia.storage.patterns import has_wildcard


class SourceConfig(Config):
    """One set of LLaVA-format JSONL shards with its images."""

    shards: str = Field(min_length=1)
    """Folder of *.jsonl files, or a glob pattern; local, s3:// or gs://."""

    images: str = Field(min_length=1)
    """Folder that the records' image paths are relative to; local, s3:// or gs://."""

    conversation: str | None = None
    """The conversation format of this source alone (plain, for captions), or null for the one that all others have."""

    # Left out of what is written where it is not given: runs do not depend on it.
    records: int | None = Field(default=None, gt=0, exclude_if=lambda records: records is None)
    """How many records it has, for plans alone, as long as no shard of it is there to be counted; null where that is not known."""

    @model_validator(mode="after")
    def _conversation_is_known(self) -> SourceConfig:
        if self.conversation is not None:
            find_format(self.conversation, "conversation")
        return self


class DataConfig(Config):
    """The data sets that the training stages name, and the limits they are held to."""

    sources: dict[str, SourceConfig] = Field(min_length=1)
    """Data sets, by the name that a training stage uses."""

    max_rejected: float = Field(default=0.01, ge=0, le=1)
    """Share of bad records in a source above which the run stops."""

    max_length: int = Field(default=128, ge=8)
    """Tokens of text kept per record; an image counts as one."""

    conversation: str | None = None
    """How turns are written for the language model: vicuna_v1, llama_3, chatml, phi3 …, or null for its own chat template."""

    decoding: Literal["full", "reduced"] = "full"
    """Every pixel of a picture's file; or, of large JPEGs, 1/2 to 1/8 of them a side but at least 1024: quicker, features then differ
    by 1 to 2 %."""

    system: str | None = None
    """The text before the first turn, in place of the conversation format's own; empty for none."""

    @model_validator(mode="after")
    def _conversation_is_known(self) -> DataConfig:
        spoken = None if self.conversation is None else find_format(self.conversation, "conversation")
        if spoken and not spoken.questions:
            raise ValueError(
                f"conversation: {self.conversation!r} drops the questions, which scoring and serving need; "
                "give it to a source (sources.NAME.conversation)"
            )
        if self.system is not None and (spoken is None or spoken.system is None):
            raise ValueError(
                f"system: {self.conversation or 'a chat template of its own'} takes no system text from here; "
                "set conversation to a format that has a place for one"
            )
        return self


def list_shards(name: str, source: SourceConfig) -> list[str]:
    """The addresses of the source's shards, absolute and sorted. Raises ValueError naming the field when there are none."""
    field = f"data.sources.{name}"
    shards = _matches(source.shards)
    if not shards:
        raise ValueError(f"{field}.shards: no *.jsonl under {source.shards!r}; point it at a folder of JSONL shards")
    if not any(map(size, shards)):
        raise ValueError(f"{field}.shards: the {len(shards)} shards in {source.shards!r} are empty; write data first")
    return shards


def images_address(name: str, source: SourceConfig) -> str:
    """The absolute address of the source's images folder. Raises ValueError naming the field when it is no folder."""
    place = parse_address(source.images)
    if isinstance(place, Path) and not place.is_dir():
        raise ValueError(f"data.sources.{name}.images: {source.images!r} is not a folder; correct the path")
    return absolute_address(source.images)


def _matches(shards: str) -> list[str]:
    place = parse_address(shards)
    if isinstance(place, Path):
        found = place.glob("*.jsonl") if place.is_dir() else map(Path, list_files(shards))
        return sorted(str(file.absolute()) for file in found if file.is_file())
    if has_wildcard(place.key):
        return list_files(shards)
    return [file for file in list_files(shards) if file == shards or _directly_in(file, shards)]


def _directly_in(file: str, folder: str) -> bool:
    folder_of, _, name = file.rpartition("/")
    return folder_of == folder.rstrip("/") and name.endswith(".jsonl")
