"""What is prepared, from which files, and in which steps."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.data.curation.settings import CurationConfig
from opabinia.data.deduplication.settings import DeduplicationConfig, LeakageConfig
from opabinia.data.preparation.settings import LimitsConfig, ShardingConfig
from opabinia.data.system_prompts.table import SystemPromptConfig

_NAME = re.compile(r"\w[\w.-]*")


class InputConfig(Config):
    """Published files of one kind."""

    files: str = Field(min_length=1)
    """LLaVA-format JSON or JSONL, gzip or zstd or plain: a file, a folder or a pattern, local, s3:// or gs://."""

    source: str | None = Field(default=None, min_length=1)
    """The source of records that name none themselves; null leaves them "unknown"."""


class SetConfig(Config):
    """One data set: what a training stage reads."""

    inputs: tuple[InputConfig, ...] = Field(min_length=1)
    """Where its records come from."""

    images: str = Field(min_length=1)
    """Folder, s3:// or gs:// address that the records' image paths are relative to."""

    deduplication: DeduplicationConfig | None = None
    """How copies of a record are found, of which the first stays; null to keep them."""

    curation: CurationConfig | None = None
    """Which records are chosen; null for all."""

    system_prompts: SystemPromptConfig | None = None
    """Response-format prompts added to questions; null for none."""


class BenchmarkPicturesConfig(Config):
    """The pictures of one benchmark."""

    images: str = Field(min_length=1)
    """Folder, s3:// or gs:// address of its pictures."""

    questions: tuple[str, ...] = ()
    """JSON or JSONL files whose records name the pictures under `image`; empty for every picture below `images`."""


class LeakageAuditConfig(LeakageConfig):
    """Which benchmarks' pictures must not be trained on."""

    benchmarks: dict[str, BenchmarkPicturesConfig] = Field(min_length=1)
    """Benchmarks by name."""

    remove: bool = False
    """Leave out records that show such a picture, before records are chosen; or report what is among those chosen."""


class PrepareConfig(Config):
    """Everything that decides which data sets are prepared."""

    output: Path
    """Folder for every step of every set, on a disk that all machines of the cluster see."""

    sets: dict[str, SetConfig] = Field(min_length=1)
    """Data sets, by the name that a training stage uses."""

    limits: LimitsConfig = LimitsConfig()
    """What a record must keep to besides being well formed."""

    max_rejected: float = Field(default=0.01, ge=0, le=1)
    """Share of bad records in a set above which the job stops after its report."""

    leakage: LeakageAuditConfig | None = None
    """Compares the pictures of every set with benchmarks; null for no audit."""

    sharding: ShardingConfig = ShardingConfig()
    """How prepared data are cut into shards."""

    seed: int = Field(default=0, ge=0)
    """Decides which shard a record goes to."""

    upload: str | None = Field(default=None, min_length=1)
    """s3:// or gs:// address below which the prepared sets are copied, or null."""

    @model_validator(mode="after")
    def _sets_are_folders(self) -> PrepareConfig:
        for name in self.sets:
            if not _NAME.fullmatch(name):
                raise ValueError(f"sets: {name!r} is to be a folder's name; use letters, digits, - and _")
        return self
