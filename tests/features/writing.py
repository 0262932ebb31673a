"""A feature table written without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from opabinia.features.encoder_source import EncoderSource
from opabinia.features.encoding import FragmentEncoder
from opabinia.features.precision import Precision
from opabinia.features.rows import ColumnFile, commit_files, ensure_columns, ensure_rows, physical_keys
from tests.features.encoders import SmallEncoders


def write_table(
    folder: Path,
    pictures: dict[str, str],
    encoders: Sequence[str],
    *,
    only: int | None = None,
    precision: Precision = "float16",
    source: EncoderSource | None = None,
    batch: int = 4,
) -> None:
    """Fill the first `only` fragments (all when None)."""
    source = source or SmallEncoders()
    columns = {encoder: replace(source.column(encoder), precision=precision) for encoder in encoders}
    table = ensure_columns(ensure_rows(folder, pictures), columns.values())
    worker = FragmentEncoder(str(folder), table.data_storage_version, columns, source, batch=batch, threads=1)
    for fragment in table.get_fragments()[:only]:
        paths = [pictures[key] if key else "" for key in physical_keys(fragment)]
        item = {"fragment": fragment.fragment_id, "encoders": list(encoders), "paths": paths}
        [outcomes] = worker(pa.Table.from_pylist([item]))
        files = [
            ColumnFile(o["fragment"], columns[o["encoder"]].names, o["file"], o["bytes"]) for o in outcomes.to_pylist()
        ]
        table = commit_files(table, files)
