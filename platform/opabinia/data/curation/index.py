"""The columns of a data set's index that choosing records needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrow import ArrowArray, ArrowTable, pa

Codes = NDArray[np.int64]
"""[rows]: for each row a place in a tuple of names, or −1 for none."""

_COLUMNS = ("id", "source", "category")


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of few different texts: `names`, and for each row its place in them."""

    names: tuple[str, ...]
    codes: Codes

    def count(self, chosen: NDArray[np.bool_] | None = None) -> list[int]:
        """Rows of each name, of all rows or of those chosen."""
        codes = self.codes if chosen is None else self.codes[chosen]
        counts: list[int] = np.bincount(codes[codes >= 0], minlength=len(self.names)).tolist()
        return counts


def read_index(file: Path) -> ArrowTable:
    """The columns id, source and category of an index.arrow. Raises ValueError where one is missing."""
    with pa.memory_map(str(file)) as source:
        names: list[str] = pa.ipc.open_file(source).schema.names
        if missing := [name for name in _COLUMNS if name not in names]:
            raise ValueError(f"{file}: has no column {missing[0]!r}; prepare the data set again")
        options = pa.ipc.IpcReadOptions(included_fields=[names.index(name) for name in _COLUMNS])
        return pa.ipc.open_file(source, options=options).read_all()


def labels(column: ArrowArray) -> Labels:
    """A text column, plain or of dictionary type, as codes in the order of first appearance."""
    whole: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(whole.type):
        whole = whole.cast(pa.string())
    encoded: Any = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    codes: Codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Labels(tuple(encoded.dictionary.to_pylist()), codes)
