"""Reading the feature table: features of any pictures, in any order, only of the encoders asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from opabinia.features.encoder_source import CatalogueSource, Column, EncoderSource
from opabinia.features.rows import KEY, is_filled, open_rows, stored_column

if TYPE_CHECKING:
    from opabinia.data.arrow import ArrowArray
    from opabinia.features.rows import LanceTable

MEMORY_MIB = 1024
_BYTES_PER_VALUE = 2

Grid = np.ndarray[Any, np.dtype[np.float16]]


class FeatureReader:
    """Random access to some encoders' features.

    Columns that fit `memory_mib` together are read once and held, which makes a batch some ten times faster; larger
    ones are read from disk row by row.
    """

    def __init__(
        self,
        folder: Path | str,
        encoder_ids: Sequence[str],
        *,
        memory_mib: int = MEMORY_MIB,
        source: EncoderSource | None = None,
    ) -> None:
        """Open the table. Raises ValueError when there is none, or none of an encoder's present weights."""
        self.folder = Path(folder)
        self._table = _open(self.folder)
        self._columns = _find_columns(self._table, self.folder, encoder_ids, source or CatalogueSource())
        self._places = _filled_rows(self._table, [column.name for column in self._columns.values()])
        size = sum(column.values for column in self._columns.values()) * _BYTES_PER_VALUE * self._table.count_rows()
        self._held = self._hold() if size <= memory_mib << 20 else None

    def read(self, image_keys: Sequence[str]) -> dict[str, Tensor]:
        """Per encoder id, float32 [pictures, tokens, width] in the order of the keys, which may repeat.

        Raises ValueError naming keys that the table does not hold.
        """
        missing = [key for key in dict.fromkeys(image_keys) if key not in self._places]
        if missing:
            shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
            raise ValueError(f"features: {self.folder} lacks {len(missing)} of the pictures ({shown}); build it again")
        rows = torch.tensor([self._places[key] for key in image_keys], dtype=torch.long)
        if self._held is not None:
            return {encoder: held.index_select(0, rows).float() for encoder, held in self._held.items()}
        return self._take(rows)

    def _hold(self) -> dict[str, Tensor]:
        rows = self._table.count_rows()
        held: dict[str, Grid] = {
            e: np.empty((rows, c.tokens, c.width), dtype=np.float16) for e, c in self._columns.items()
        }
        names, start = [column.name for column in self._columns.values()], 0
        for batch in self._table.to_batches(columns=names, batch_size=256, scan_in_order=True):
            for encoder, column in self._columns.items():
                held[encoder][start : start + batch.num_rows] = _grid(batch[column.name], column)
            start += batch.num_rows
        return {encoder: torch.as_tensor(grid) for encoder, grid in held.items()}

    def _take(self, rows: Tensor) -> dict[str, Tensor]:
        distinct, back = np.unique(rows.numpy(), return_inverse=True)
        names = [column.name for column in self._columns.values()]
        found = self._table.take(distinct.tolist(), columns=names)
        grids = dict[str, Tensor]()
        for encoder, column in self._columns.items():
            parts = [_grid(chunk, column) for chunk in found[column.name].chunks]
            empty: Grid = np.empty((0, column.tokens, column.width), dtype=np.float16)
            grid: Grid = np.concatenate([empty, *parts])
            grids[encoder] = torch.as_tensor(grid[back]).float()
        return grids


def _open(folder: Path) -> LanceTable:
    table = open_rows(folder)
    if table is None:
        raise ValueError(f"features: {folder} holds no feature table; build it first")
    return table


def _find_columns(
    table: LanceTable, folder: Path, encoder_ids: Sequence[str], source: EncoderSource
) -> dict[str, Column]:
    columns = {encoder: source.column(encoder) for encoder in encoder_ids}
    for encoder, column in columns.items():
        if column.name not in table.schema.names:
            raise ValueError(f"features: {folder} holds nothing of {encoder} with its present weights; build it again")
    return {encoder: stored_column(table, column.name) for encoder, column in columns.items()}


def _filled_rows(table: LanceTable, columns: Sequence[str]) -> dict[str, int]:
    """Key -> row, for the rows that have every column's data; an unfinished build leaves some that do not."""
    places, start = dict[str, int](), 0
    for fragment in table.get_fragments():
        keys: list[str] = fragment.to_table(columns=[KEY])[KEY].to_pylist()
        if all(is_filled(table, fragment, column) for column in columns):
            places.update(zip(keys, range(start, start + len(keys)), strict=True))
        start += len(keys)
    return places


def _grid(rows: ArrowArray, column: Column) -> Grid:
    """Arrow rows -> float16 [rows, tokens, width], read-only and without a copy."""
    # Not `flatten`, which leaves out null rows and would shift all that follow.
    values = rows.values.slice(rows.offset * column.values, len(rows) * column.values)
    return values.to_numpy(zero_copy_only=False).reshape(len(rows), column.tokens, column.width)
