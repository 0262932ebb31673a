"""Hashing many pictures with all processors, and keeping what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.deduplication.pictures import PictureHash, hash_pictures

_SCHEMA = pa.schema(
    [("path", pa.string()), ("content", pa.binary()), ("difference", pa.uint64()), ("problem", pa.string())]
)
_ERROR = pa.field("error", pa.string())
_LEAST, _MOST_TASKS = 128, 2048
"""Pictures in a task at least, and tasks of a data set at most."""
_AT_ONCE = 4096


def hash_in_parallel(paths: Sequence[str], images: str) -> Iterator[PictureHash]:
    """Hash pictures, paths relative to the address `images`, in their order.

    Ray must be running. Raises ValueError when it cannot be told whether a picture is sound: see `read_picture`.
    """
    size = max(_LEAST, ceil(len(paths) / _MOST_TASKS))
    items = [{"paths": list(paths[start : start + size])} for start in range(0, len(paths), size)]
    if not items:
        return
    from opabinia.data.pipeline import cluster_cpus, ordered_dataset

    dataset: Any = ordered_dataset(items, partial(_as_table, images), at_once=min(len(items), cluster_cpus()))
    for row in dataset.iter_rows():
        if row["error"]:
            raise ValueError(row["error"])
        yield _picture(row)


def save_hashes(hashes: Iterable[PictureHash], file: Path) -> None:
    """Write hashes as an Arrow file, some thousands in memory at a time."""
    writer: Any = pa.ipc.new_file(str(file), _SCHEMA)
    remaining = iter(hashes)
    with writer:
        while some := list(islice(remaining, _AT_ONCE)):
            writer.write_table(_table(some, _SCHEMA))


def load_hashes(file: Path) -> Iterator[PictureHash]:
    """What `save_hashes` wrote, in its order."""
    with pa.memory_map(str(file)) as source:
        reader: Any = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            yield from map(_picture, reader.get_batch(number).to_pylist())


def _as_table(images: str, item: Mapping[str, Any]) -> Iterator[ArrowTable]:
    schema = _SCHEMA.append(_ERROR)
    try:
        yield _table(hash_pictures(item["paths"], images, workers=1), schema)
    except ValueError as error:
        # Raised here, its one line would reach nobody but among many of Ray's.
        yield pa.Table.from_pylist([{"error": str(error)}], schema=schema)


def _table(hashes: Iterable[PictureHash], schema: Any) -> ArrowTable:
    rows = [
        {"path": each.path, "content": each.content, "difference": each.difference, "problem": each.problem}
        for each in hashes
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _picture(row: Mapping[str, Any]) -> PictureHash:
    return PictureHash(row["path"], row["content"], row["difference"], row["problem"])
