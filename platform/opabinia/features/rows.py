"""The Lance table itself: one row a picture, one column an encoder, and each fragment filled column by column.

A fragment is a run of rows with its own files. A column is first added without any data, which costs nothing; then each
fragment gets one file per column. Every commit is atomic, so that a killed writer leaves the last complete version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from opabinia.data.arrow import ArrowField, ArrowSchema, pa
from opabinia.features.encoder_source import Column

# Lance is typed in terms of Arrow, which is not: strict type checking ends at this border.
lance: Any = import_module("lance")
lance_file: Any = import_module("lance.file")

LanceTable: TypeAlias = Any
"""A lance.LanceDataset."""

LanceFragment: TypeAlias = Any
"""A lance.fragment.LanceFragment."""

LanceFragmentMetadata: TypeAlias = Any
"""A lance.fragment.FragmentMetadata."""

LanceFileWriter: TypeAlias = Any
"""A lance.file.LanceFileWriter."""

KEY = "image_key"
FRAGMENT_ROWS = 1024


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """A written file that holds one column of one fragment and is not part of the table before it is committed."""

    fragment: int
    column: str
    name: str
    size: int


def open_rows(folder: Path) -> LanceTable | None:
    """The newest version of the table, or None where there is none."""
    if not any((folder / "_versions").glob("*.manifest")):
        return None
    return lance.dataset(str(folder))


def ensure_rows(folder: Path, keys: Iterable[str]) -> LanceTable:
    """Create the table or append to it, so that every key has a row."""
    table = open_rows(folder)
    known = set[str]() if table is None else set(table.to_table(columns=[KEY])[KEY].to_pylist())
    new = sorted(set(keys) - known)
    if table is not None and not new:
        return table
    mode = "create" if table is None else "append"
    return lance.write_dataset(pa.table({KEY: new}), str(folder), mode=mode, max_rows_per_file=FRAGMENT_ROWS)


def ensure_columns(table: LanceTable, columns: Iterable[Column]) -> LanceTable:
    """Add the columns that the table lacks, without data."""
    new = [column_field(column) for column in columns if column.name not in table.schema.names]
    if new:
        table.add_columns(new)
    return table


def column_field(column: Column) -> ArrowField:
    """float16, tokens x width numbers a row, with the shape in the field's metadata."""
    shape = {"tokens": str(column.tokens), "width": str(column.width)}
    return pa.field(column.name, pa.list_(pa.float16(), column.values), metadata=shape)


def open_writer(path: Path, schema: ArrowSchema, version: str) -> LanceFileWriter:
    """A writer of one data file in the table's format version."""
    return lance_file.LanceFileWriter(str(path), schema, version=version)


def stored_column(table: LanceTable, name: str) -> Column:
    """The column as the table describes it."""
    shape: dict[bytes, bytes] = table.schema.field(name).metadata
    return Column(name, int(shape[b"tokens"]), int(shape[b"width"]))


def is_filled(table: LanceTable, fragment: LanceFragment, column: str) -> bool:
    """Whether the fragment has the column's data; answered from the table's metadata alone."""
    identity = _field_ids(table)[column]
    return any(identity in file.fields for file in fragment.metadata.files)


def physical_keys(fragment: LanceFragment) -> list[str | None]:
    """The fragment's keys by their place in its files; None where the row was deleted."""
    live = fragment.scanner(columns=[KEY], with_row_address=True).to_table()
    keys: list[str | None] = [None] * fragment.physical_rows
    for key, address in zip(live[KEY].to_pylist(), live["_rowaddr"].to_pylist(), strict=True):
        keys[address & 0xFFFFFFFF] = key
    return keys


def delete_rows(table: LanceTable, keys: Sequence[str]) -> None:
    """Take rows out of the table; `table` moves to the new version."""
    for start in range(0, len(keys), 1000):
        listed = ", ".join(f"'{key}'" for key in keys[start : start + 1000])
        table.delete(f"{KEY} in ({listed})")


def commit_files(table: LanceTable, files: Sequence[ColumnFile]) -> LanceTable:
    """Make written files part of the table in one step."""
    by_fragment = dict[int, list[ColumnFile]]()
    for file in files:
        by_fragment.setdefault(file.fragment, []).append(file)
    ids = _field_ids(table)
    fragments = [_with_files(table, fragment, by_fragment, ids) for fragment in table.get_fragments()]
    operation = lance.LanceOperation.Merge(fragments, table.lance_schema)
    return lance.LanceDataset.commit(table.uri, operation, read_version=table.version)


def _with_files(
    table: LanceTable, fragment: LanceFragment, files: Mapping[int, Sequence[ColumnFile]], ids: Mapping[str, int]
) -> LanceFragmentMetadata:
    metadata = fragment.metadata
    major, minor = (int(part) for part in table.data_storage_version.split("."))
    added = [
        lance.fragment.DataFile(file.name, [ids[file.column]], [0], major, minor, file.size)
        for file in files.get(fragment.fragment_id, ())
    ]
    metadata.files = [*metadata.files, *added]
    return metadata


def _field_ids(table: LanceTable) -> dict[str, int]:
    return {field.name(): field.id() for field in table.lance_schema.fields()}
