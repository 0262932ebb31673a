"""The Lance table itself: one row a picture, one column an encoder, and each fragment filled column by column.

An encoder stored as int8 has a second column, of scales. A fragment is a run of rows with its own files. A column is first
added without any data, which costs nothing; then each fragment gets one file per encoder. Every commit is atomic, so that
a killed writer leaves the last complete version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, cast

from opabinia.data.arrow import ArrowSchema, pa
from opabinia.features.encoder_source import Column
from opabinia.features.packing import column_fields
from opabinia.features.precision import Precision

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
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class ColumnFile:
    """A written file that holds one encoder's features of one fragment and is not part of the table before it is committed.

    `columns` are those of the Lance table, in the order in which the file holds them.
    """

    fragment: int
    columns: tuple[str, ...]
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
    """Add the columns that the table lacks, without data. Raises ValueError when one is there in another precision."""
    new = list[Column]()
    for column in columns:
        if column.name not in table.schema.names:
            new.append(column)
        elif (stored := stored_column(table, column.name).precision) != column.precision:
            raise ValueError(
                f"features: {table.uri} holds {column.name} as {stored}, not {column.precision}; choose another folder"
            )
    if new:
        table.add_columns([field for column in new for field in column_fields(column)])
    return table


def open_writer(path: Path, schema: ArrowSchema, version: str) -> LanceFileWriter:
    """A writer of one data file in the table's format version."""
    return lance_file.LanceFileWriter(str(path), schema, version=version)


def unfinished_path(folder: Path, name: str) -> Path:
    """Where a data file is written before it is committed, so that what a killed build leaves is known by its name."""
    return folder / "data" / f"{name}{_UNFINISHED}"


def remove_unfinished(folder: Path) -> None:
    """Delete what killed builds left behind."""
    for path in (folder / "data").glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def stored_column(table: LanceTable, name: str) -> Column:
    """The column as the table describes it."""
    stated = stated_of(table, name)
    return Column(name, int(stated["tokens"]), int(stated["width"]), cast(Precision, stated["precision"]))


def stated_of(table: LanceTable, column: str) -> dict[str, str]:
    """What the column's field says of itself."""
    stated: dict[bytes, bytes] = table.schema.field(column).metadata
    return {key.decode(): value.decode() for key, value in stated.items()}


def describe_column(table: LanceTable, column: str, stated: Mapping[str, str]) -> None:
    """Add to what the column's field says of itself; `table` moves to the new version."""
    table.update_field_metadata({column: dict(stated)})


def is_filled(table: LanceTable, fragment: LanceFragment, column: str) -> bool:
    """Whether the fragment has the column's data; answered from the table's metadata alone."""
    identity = _field_ids(table)[column]
    return any(identity in file.fields for file in fragment.metadata.files)


def files_of(table: LanceTable, column: str) -> list[str]:
    """Names of the data files that hold the column."""
    identity = _field_ids(table)[column]
    files = (file for fragment in table.get_fragments() for file in fragment.metadata.files)
    return [file.path for file in files if identity in file.fields]


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
    """Make written files part of the table in one step, under their final names."""
    by_fragment = dict[int, list[ColumnFile]]()
    for file in files:
        by_fragment.setdefault(file.fragment, []).append(file)
        unfinished_path(Path(table.uri), file.name).rename(Path(table.uri) / "data" / file.name)
    ids = _field_ids(table)
    fragments = [_with_files(table, fragment, by_fragment, ids) for fragment in table.get_fragments()]
    operation = lance.LanceOperation.Merge(fragments, table.lance_schema)
    return lance.LanceDataset.commit(table.uri, operation, read_version=table.version)


def filled_rows(table: LanceTable, columns: Sequence[str]) -> dict[str, int]:
    """Key -> row, for the rows that have every column's data; an unfinished build leaves some that do not."""
    places, start = dict[str, int](), 0
    for fragment in table.get_fragments():
        keys: list[str] = fragment.to_table(columns=[KEY])[KEY].to_pylist()
        if all(is_filled(table, fragment, column) for column in columns):
            places.update(zip(keys, range(start, start + len(keys)), strict=True))
        start += len(keys)
    return places


def _with_files(
    table: LanceTable, fragment: LanceFragment, files: Mapping[int, Sequence[ColumnFile]], ids: Mapping[str, int]
) -> LanceFragmentMetadata:
    metadata = fragment.metadata
    major, minor = (int(part) for part in table.data_storage_version.split("."))
    added = [
        lance.fragment.DataFile(
            file.name, [ids[column] for column in file.columns], list(range(len(file.columns))), major, minor, file.size
        )
        for file in files.get(fragment.fragment_id, ())
    ]
    metadata.files = [*metadata.files, *added]
    return metadata


def _field_ids(table: LanceTable) -> dict[str, int]:
    return {field.name(): field.id() for field in table.lance_schema.fields()}
