"""Reading the feature table: features of any pictures, in any order, only of the encoders asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from opabinia.features.encoder_source import CatalogueSource, Column, EncoderSource
from opabinia.features.packing import Packed, column_fields, numbers_of, packed_from
from opabinia.features.rows import filled_rows, open_rows, stored_column

if TYPE_CHECKING:
    from opabinia.data.arrow import ArrowTable
    from opabinia.features.rows import LanceTable

MEMORY_MIB = 1024


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
        self._places = filled_rows(self._table, [column.name for column in self._columns.values()])
        size = sum(column.bytes for column in self._columns.values()) * self._table.count_rows()
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
            return {encoder: _selected(held, rows) for encoder, held in self._held.items()}
        return self._take(rows)

    def _hold(self) -> dict[str, Packed]:
        parts = self._table.to_batches(columns=self._names(), batch_size=256, scan_in_order=True)
        return self._packed(parts, self._table.count_rows())

    def _take(self, rows: Tensor) -> dict[str, Tensor]:
        distinct, back = np.unique(rows.numpy(), return_inverse=True)
        parts = self._table.take(distinct.tolist(), columns=self._names()).to_batches()
        found = self._packed(parts, len(distinct))
        return {encoder: _selected(packed, torch.from_numpy(back)) for encoder, packed in found.items()}

    def _packed(self, parts: Iterable[ArrowTable], rows: int) -> dict[str, Packed]:
        arrays = {
            field.name: np.empty((rows, field.type.list_size), dtype=field.type.value_type.to_pandas_dtype())
            for column in self._columns.values()
            for field in column_fields(column)
        }
        start = 0
        for part in parts:
            for name, array in arrays.items():
                array[start : start + part.num_rows] = numbers_of(part[name], array.shape[1])
            start += part.num_rows
        return {
            encoder: packed_from([torch.from_numpy(arrays[name]) for name in column.names], column)
            for encoder, column in self._columns.items()
        }

    def _names(self) -> list[str]:
        return [name for column in self._columns.values() for name in column.names]


def _selected(packed: Packed, rows: Tensor) -> Tensor:
    scales = None if packed.scales is None else packed.scales.index_select(0, rows)
    return Packed(packed.values.index_select(0, rows), scales).unpacked()


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
