"""For each encoder, whether it pays to compute its features once and read them ever after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opabinia.features.config import CacheConfig
from opabinia.features.encoder_source import CatalogueSource, Column
from opabinia.features.plan import count_missing
from opabinia.features.room import check_room
from opabinia.features.rows import open_rows
from opabinia.sweeps.planning.arithmetic import picture_flops
from opabinia.sweeps.planning.workload import Workloads


@dataclass(frozen=True, slots=True)
class EncoderPlan:
    """flops: forward of one picture; `counted` by torch, or told from its size. learns: in every trial that has it, so that nothing
    can be stored.

    missing: pictures that the table lacks, None where nobody knows. column: what it stores of each. shown: how often all trials
    together show it a picture; where it learns in some of them only, the others. encode_s, read_s: seconds a picture to encode it and
    to read its features; None without a rate.
    """

    encoder: str
    flops: float
    counted: bool
    learns: bool
    missing: int | None
    column: Column
    shown: float
    encode_s: float | None
    read_s: float

    @property
    def bytes(self) -> int | None:
        """That will be written."""
        if self.learns:
            return 0
        return None if self.missing is None else self.missing * self.column.bytes

    @property
    def every_time_s(self) -> float | None:
        """Device-seconds to encode every picture whenever it is shown."""
        return None if self.encode_s is None else self.shown * self.encode_s

    @property
    def once_s(self) -> float | None:
        """Device-seconds to encode what is missing once, and read it whenever it is shown."""
        if self.encode_s is None or self.missing is None:
            return None
        return self.missing * self.encode_s + self.shown * self.read_s

    @property
    def pays(self) -> bool | None:
        """None where it cannot be told; False where it cannot be done."""
        if self.learns:
            return False
        once, every_time = self.once_s, self.every_time_s
        return None if once is None or every_time is None else once < every_time


def plan_encoders(
    shown: Mapping[str, float],
    learning: Iterable[str],
    workloads: Workloads,
    folder: Path,
    cache: CacheConfig,
    *,
    flops_per_second: float | None,
    read_bytes_per_second: float,
) -> list[EncoderPlan]:
    """Of the encoders in `shown`. folder: of the feature table, which may be there already. Nothing is encoded."""
    learns, source = set(learning), CatalogueSource()
    planned: list[EncoderPlan] = []
    for name, times in shown.items():
        flops, counted = picture_flops(name)
        column = _stored(source.column(name), cache)
        missing = _missing(folder, workloads, column)
        encode_s = flops / flops_per_second if flops_per_second else None
        read_s = column.bytes / read_bytes_per_second
        planned.append(EncoderPlan(name, flops, counted, name in learns, missing, column, times, encode_s, read_s))
    return planned


def table_bytes(encoders: Sequence[EncoderPlan]) -> int | None:
    """That all of them will write; None where one's is not known."""
    sizes = [encoder.bytes for encoder in encoders]
    return None if None in sizes else sum(size or 0 for size in sizes)


def too_large(encoders: Sequence[EncoderPlan], folder: Path, cache: CacheConfig) -> str | None:
    """Why the table in `folder` cannot be filled, as its building would refuse; None where it can, or nobody knows."""
    try:
        check_room(folder, table_bytes(encoders) or 0, cache.budget_gb)
    except ValueError as error:
        return str(error)
    return None


def _stored(column: Column, cache: CacheConfig) -> Column:
    return Column(column.name, column.tokens, column.width, cache.precision)


def _missing(folder: Path, workloads: Workloads, column: Column) -> int | None:
    if workloads.keys is None:
        return workloads.pictures
    return count_missing(open_rows(folder) if folder.exists() else None, workloads.keys, column)
