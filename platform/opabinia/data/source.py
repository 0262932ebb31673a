"""Where the training data lie, and which of its shards exist."""

from __future__ import annotations

import glob
from pathlib import Path

from pydantic import Field

from opabinia.config import Config


class SourceConfig(Config):
    """One set of LLaVA-format JSONL shards with its images."""

    shards: str = Field(min_length=1)
    """Folder of *.jsonl files, or a glob pattern."""

    images: str = Field(min_length=1)
    """Folder that the records' image paths are relative to."""


class DataConfig(Config):
    """The data sets that the training stages name, and the limits they are held to."""

    sources: dict[str, SourceConfig] = Field(min_length=1)
    """Data sets, by the name that a training stage uses."""

    max_rejected: float = Field(default=0.01, ge=0, le=1)
    """Share of bad records in a source above which the run stops."""

    max_length: int = Field(default=128, ge=8)
    """Tokens of text kept per record; an image counts as one."""


def list_shards(name: str, source: SourceConfig) -> list[Path]:
    """The source's shards as absolute paths, sorted. Raises ValueError naming the field when there are none."""
    field = f"data.sources.{name}"
    shards = sorted(Path(match).absolute() for match in glob.glob(_pattern(source.shards), recursive=True))
    shards = [shard for shard in shards if shard.is_file()]
    if not shards:
        raise ValueError(f"{field}.shards: no *.jsonl under {source.shards!r}; point it at a folder of JSONL shards")
    if not any(shard.stat().st_size for shard in shards):
        raise ValueError(f"{field}.shards: the {len(shards)} shards in {source.shards!r} are empty; write data first")
    return shards


def images_folder(name: str, source: SourceConfig) -> Path:
    """The source's images folder as an absolute path. Raises ValueError naming the field when it is not a folder."""
    folder = Path(source.images).absolute()
    if not folder.is_dir():
        raise ValueError(f"data.sources.{name}.images: {source.images!r} is not a folder; correct the path")
    return folder


def _pattern(shards: str) -> str:
    return str(Path(glob.escape(shards)) / "*.jsonl") if Path(shards).is_dir() else shards
