"""What filling the feature table will take, and whether reading it is worth it, known before it starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from opabinia.columns import aligned
from opabinia.features import rows
from opabinia.features.encoder_source import CatalogueSource, Column, EncoderSource
from opabinia.features.measuring import measure_encoding, measure_reading
from opabinia.features.precision import Precision, picture_bytes
from opabinia.features.room import bytes_used, free_bytes, size_text
from opabinia.features.rows import LanceTable, filled_rows, open_rows
from opabinia.features.workers import free_workers

if TYPE_CHECKING:
    from opabinia.encoders.pixels import Decoding


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One encoder: pictures still to encode, and seconds a picture to encode it and to read its features."""

    encoder: str
    column: Column
    missing: int
    encode_s: float
    read_s: float

    @property
    def bytes(self) -> int:
        """What will be written."""
        return self.missing * self.column.bytes

    @property
    def reading_is_cheaper(self) -> bool:
        """Whether training should read this encoder's features rather than compute them again."""
        return self.read_s < self.encode_s

    def resampled_bytes(self, side: int) -> int:
        """What would be written if every grid were first brought to side x side tokens; never more than now."""
        tokens = min(self.column.tokens, side**2)
        return self.missing * picture_bytes(tokens, self.column.width, self.column.precision)


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """All encoders, and on how many processes they run; `probed` pictures were encoded to measure that."""

    folder: Path
    pictures: int
    probed: int
    workers: int
    device: str
    columns: tuple[ColumnPlan, ...]

    @property
    def bytes(self) -> int:
        return sum(column.bytes for column in self.columns)

    def seconds(self, column: ColumnPlan) -> float:
        """From start to end, as far as the probe can tell; what is less than a fragment keeps one process busy."""
        busy = min(self.workers, math.ceil(column.missing / rows.FRAGMENT_ROWS))
        return column.missing * column.encode_s / max(1, busy)


def missing_bytes(folder: Path, keys: Sequence[str], columns: Sequence[Column]) -> int:
    """What the features that the table lacks will take on disk."""
    table = open_rows(folder)
    return sum(count_missing(table, keys, column) * column.bytes for column in columns)


def count_missing(table: LanceTable | None, keys: Sequence[str], column: Column) -> int:
    """How many of the pictures have no features in the column."""
    if table is None or column.name not in table.schema.names:
        return len(keys)
    return len(set(keys) - filled_rows(table, [column.name]).keys())


def plan_features(
    folder: Path,
    images: Mapping[str, str],
    encoder_ids: Sequence[str],
    *,
    precision: Precision = "float16",
    batch: int = 64,
    decoding: Decoding = "full",
    source: EncoderSource | None = None,
) -> FeaturePlan:
    """Count what the table lacks, and measure both ways to features on this cluster with one batch of pictures.

    Ray must be running. Raises ValueError when there are no images, or an encoder is unknown or cannot be loaded.
    """
    if not images:
        raise ValueError("features: there are no pictures to encode; check the images folders of data.sources")
    workers = free_workers()
    source = source or CatalogueSource(workers.device, workers.threads, decoding)
    columns = {name: replace(source.column(name), precision=precision) for name in dict.fromkeys(encoder_ids)}
    # Keys are hashes: the first in their order are a fair sample.
    sample = [images[key] for key in sorted(images)[:batch]]
    untyped: Any = ray
    measure = untyped.remote(measure_encoding).options(num_cpus=workers.cpus, num_gpus=workers.gpus)
    encode_s: dict[str, float] = untyped.get(measure.remote(sample, columns, source, workers.threads))
    read_s, table, keys = measure_reading(folder, columns), open_rows(folder), list(images)
    planned = tuple(
        ColumnPlan(name, column, count_missing(table, keys, column), encode_s[name], read_s[name])
        for name, column in columns.items()
    )
    return FeaturePlan(folder, len(images), len(sample), workers.count, workers.device, planned)


def render_plan(plan: FeaturePlan, side: int) -> str:
    """The plan as a table, with what bringing all grids to side x side tokens would save."""
    head = ("encoder", "to encode", "bytes", "encode", "read", "cheaper", "time", f"at {side} × {side}")
    cells = [_cells(plan, column, side) for column in plan.columns]
    resampled = sum(column.resampled_bytes(side) for column in plan.columns)
    seconds = sum(plan.seconds(column) for column in plan.columns)
    total = ("all", "", size_text(plan.bytes), "", "", "", _clock(seconds), _saving(plan.bytes, resampled))
    lines = aligned([head, *cells, total])
    place = f"{plan.workers} process{'es' if plan.workers > 1 else ''} ({plan.device})"
    return "\n".join(
        [
            f"features: {plan.pictures:,} pictures, as {plan.columns[0].column.precision}, in {plan.folder}",
            *lines,
            f"encode and read are per picture; time is an estimate from encoding at most {plan.probed} pictures, for {place}",
            f"on disk now {size_text(bytes_used(plan.folder))}; free {size_text(free_bytes(plan.folder))}",
        ]
    )


def _cells(plan: FeaturePlan, column: ColumnPlan, side: int) -> tuple[str, ...]:
    return (
        column.encoder,
        f"{column.missing:,}",
        size_text(column.bytes),
        _duration(column.encode_s),
        _duration(column.read_s),
        "reading" if column.reading_is_cheaper else "encoding",
        _clock(plan.seconds(column)),
        _saving(column.bytes, column.resampled_bytes(side)),
    )


def _saving(size: int, resampled: int) -> str:
    return f"{size_text(resampled)} (−{1 - resampled / size:.0%})" if resampled < size else "–"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.2f} ms"


def _clock(seconds: float) -> str:
    whole = math.ceil(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
