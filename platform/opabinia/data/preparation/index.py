"""The index of a prepared data set: where each record stands, and what choosing among records needs to know of it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.preparation.json_text import parse_object
from opabinia.data.records import RecordError, image_entries
from opabinia.data.source_names import record_source
from opabinia.storage.addresses import join_address, parse_address
from opabinia.storage.objects import open_read

INDEX_NAME = "index.arrow"

_NAMES = pa.dictionary(pa.int32(), pa.string())
INDEX_SCHEMA = pa.schema(
    [
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", _NAMES, nullable=False),
        pa.field("category", _NAMES),
        pa.field("images", pa.int16(), nullable=False),
        pa.field("turns", pa.int16(), nullable=False),
        pa.field("words", pa.int32(), nullable=False),
        pa.field("file", _NAMES),
        pa.field("line", pa.int64()),
    ]
)
"""One row a record, in order; one record batch a shard.

shard: number of the shard, from 0. offset, size: the record's bytes in it, newline included. id: as text, empty where it is missing.
source: as `record_source` tells it. category: as the record names it. images: pictures it names. words: of all turns, parted by
spaces. file, line: where it was first read from, null where nobody said.
"""

_MOST_INT16 = 2**15 - 1
_ROWS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record came from."""

    file: str | None
    line: int | None


def shard_name(number: int) -> str:
    """The file name of a shard."""
    return f"part-{number:05d}.jsonl"


def index_row(record: Mapping[str, Any], place: Place, *, shard: int, offset: int, size: int) -> dict[str, Any]:
    """The row of the index for a record of `size` bytes, whatever may be missing from it."""
    turns = record.get("conversations")
    texts = [_text(turn) for turn in cast("list[object]", turns)] if isinstance(turns, list) else []
    identity, category = record.get("id"), record.get("category")
    return {
        "shard": shard,
        "offset": offset,
        "size": size,
        "id": "" if identity is None else str(identity),
        "source": record_source(record),
        "category": category if isinstance(category, str) and category else None,
        "images": min(len(image_entries(record)), _MOST_INT16),
        "turns": min(len(texts), _MOST_INT16),
        "words": sum(len(text.split()) for text in texts),
        "file": place.file,
        "line": place.line,
    }


class IndexWriter:
    """Writes the index of a folder shard by shard; one shard's rows and the different names are held.

    An Arrow file has one dictionary for all its batches, and the names are all known only at the end: until then their numbers stand
    in a file of their own.
    """

    def __init__(self, folder: Path) -> None:
        self._final, self._draft = folder / INDEX_NAME, folder / f"{INDEX_NAME}.numbers"
        self._names: dict[str, dict[str, int]] = {
            field.name: {} for field in INDEX_SCHEMA if pa.types.is_dictionary(field.type)
        }
        kinds = [(field.name, pa.int32() if field.name in self._names else field.type) for field in INDEX_SCHEMA]
        self._schema: Any = pa.schema(kinds)
        self._writer: Any = pa.ipc.new_file(str(self._draft), self._schema)

    def write_shard(self, rows: list[dict[str, Any]]) -> None:
        """Add the rows of one shard."""
        columns = [pa.array([self._number(name, row[name]) for row in rows], kind) for name, kind in self._kinds()]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        """Write index.arrow."""
        self._writer.close()
        dictionaries = {name: pa.array(list(names), pa.string()) for name, names in self._names.items()}
        with (
            pa.memory_map(str(self._draft)) as source,
            pa.ipc.open_file(source) as draft,
            pa.ipc.new_file(str(self._final), INDEX_SCHEMA) as writer,
        ):
            for shard in range(draft.num_record_batches):
                batch = draft.get_batch(shard)
                columns = [_with_names(batch[name], dictionaries.get(name)) for name, _ in self._kinds()]
                writer.write_batch(pa.record_batch(columns, schema=INDEX_SCHEMA))
        self._draft.unlink()

    def _kinds(self) -> list[tuple[str, Any]]:
        return [(field.name, field.type) for field in self._schema]

    def _number(self, column: str, value: Any) -> Any:
        names = self._names.get(column)
        return value if names is None or value is None else names.setdefault(value, len(names))


@contextmanager
def open_index(folder: str | Path) -> Generator[Any]:
    """A pyarrow.ipc.RecordBatchFileReader of the index, whose batch i is shard i. Raises ValueError where there is none."""
    place = parse_address(folder)
    address = join_address(folder, INDEX_NAME)
    with open_read(address) as stream:
        # Mapped, a local index takes no memory of its own.
        source = pa.memory_map(address) if isinstance(place, Path) else pa.PythonFile(stream, mode="r")
        try:
            yield pa.ipc.open_file(source)
        except pa.ArrowInvalid as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{address}: is no index ({reason}); prepare the data set again") from error


def read_index(folder: str | Path) -> ArrowTable:
    """The index of a prepared data set as a table of INDEX_SCHEMA. Raises ValueError where there is none."""
    with open_index(folder) as reader:
        return reader.read_all()


def read_rows(folder: str | Path, rows: Iterable[int] | NDArray[np.integer[Any]]) -> Iterator[dict[str, Any]]:
    """The records of these rows of the index, in the order asked for; fastest where rows rise.

    Raises ValueError for a row that is not there, and where a shard is not what the index says.
    """
    return (record for _, _, record in read_placed_rows(folder, rows))


def read_placed_rows(
    folder: str | Path, rows: Iterable[int] | NDArray[np.integer[Any]]
) -> Iterator[tuple[str | None, int | None, dict[str, Any]]]:
    """Like `read_rows`, each record with the file and line that it was first read from: what `write_prepared` takes."""
    table = read_index(folder).select(["shard", "offset", "size", "file", "line"])
    wanted = np.fromiter(rows, dtype=np.int64)
    outside = wanted[(wanted < 0) | (wanted >= table.num_rows)]
    if len(outside):
        raise ValueError(f"{folder}: has no row {outside[0]}, only 0 to {table.num_rows - 1}; use rows of this index")
    entries = (
        entry
        for start in range(0, len(wanted), _ROWS_AT_ONCE)
        for entry in table.take(pa.array(wanted[start : start + _ROWS_AT_ONCE])).to_pylist()
    )
    for shard, group in groupby(entries, lambda entry: int(entry["shard"])):
        address = join_address(folder, shard_name(shard))
        with open_read(address) as stream:
            for entry in group:
                yield entry["file"], entry["line"], _read_record(stream, address, entry["offset"], entry["size"])


def _with_names(column: Any, dictionary: Any) -> Any:
    return column if dictionary is None else pa.DictionaryArray.from_arrays(column, dictionary)


def _read_record(stream: BinaryIO, address: str, offset: int, size: int) -> dict[str, Any]:
    stream.seek(offset)
    content = stream.read(size)
    try:
        if len(content) < size or content.find(b"\n") != size - 1:
            raise RecordError("no line ends where it should")
        return parse_object(content)
    except RecordError as error:
        raise ValueError(
            f"{address}: is not what the index says at byte {offset:,} ({error}); prepare the data set again"
        ) from None


def _text(turn: object) -> str:
    value = cast("dict[str, object]", turn).get("value") if isinstance(turn, dict) else None
    return value if isinstance(value, str) else ""
