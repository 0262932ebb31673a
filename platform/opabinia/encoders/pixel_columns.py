"""Squares of bytes as Arrow columns, which Ray hands from the tasks that decode to training without looking at a byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opabinia.data.arrow import ArrowArray, ArrowField, ArrowTable, pa
from opabinia.data.pictures import PictureError, picture_bytes
from opabinia.encoders.fitting import Fitting, Pixels
from opabinia.encoders.pixels import Decoding, read_pixels

if TYPE_CHECKING:
    from torch import Tensor


def with_pixels(table: ArrowTable, fittings: Sequence[Fitting], decoding: Decoding = "full") -> ArrowTable:
    """Rows whose `images` are addresses, joined by a column per fitting. Raises PictureError, which names the address."""
    rows = [[_read(address, fittings, decoding) for address in row] for row in table["images"].to_pylist()]
    for place, fitting in enumerate(fittings):
        squares = [[picture[place] for picture in row] for row in rows]
        table = table.append_column(pixel_field(fitting), pixel_array(squares, fitting))
    return table


def pixel_field(fitting: Fitting) -> ArrowField:
    """A column of lists: a row has as many squares of the fitting as it has pictures."""
    return pa.field(fitting.name, pa.list_(pa.binary(3 * fitting.side**2)))


def pixel_array(rows: Sequence[Sequence[Pixels]], fitting: Fitting) -> ArrowArray:
    """The squares of each row, as `pixel_field` has them; copied once, because Arrow wants them one after another."""
    squares = np.array([square for row in rows for square in row], np.uint8)
    kind = pixel_field(fitting).type
    values = pa.FixedSizeBinaryArray.from_buffers(kind.value_type, len(squares), [None, pa.py_buffer(squares)])
    return pa.ListArray.from_arrays(np.cumsum([0, *map(len, rows)], dtype=np.int32), values, type=kind)


def pixel_tensor(column: ArrowArray, fitting: Fitting) -> Tensor:
    """A column of one or more arrays -> bytes `[pictures, side, side, 3]`, in the order of the rows.

    Copied once, into memory that a GPU fetches from by itself where there is one, so that Ray can reuse its own at once.
    """
    import torch

    parts = [chunk.flatten() for chunk in column.chunks]
    shape = (sum(map(len, parts)), fitting.side, fitting.side, 3)
    if torch.cuda.is_available():
        squares = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
    else:
        # NumPy asks for large pages, of which fewer have to be found: with PyTorch's own it takes twice as long.
        squares = torch.from_numpy(np.empty(shape, np.uint8))
    rows, start = squares.numpy(), 0
    for part in parts:
        rows[start : start + len(part)] = _squares(part, fitting.side)
        start += len(part)
    return squares


def _read(address: str, fittings: Sequence[Fitting], decoding: Decoding) -> list[Pixels]:
    try:
        return read_pixels(picture_bytes(address), fittings, decoding)
    except PictureError as error:
        raise PictureError(f"picture {address}: {error}") from None


def _squares(values: ArrowArray, side: int) -> Pixels:
    """[pictures, side, side, 3], where Arrow has them."""
    held = np.frombuffer(values.buffers()[1], np.uint8) if len(values) else np.empty(0, np.uint8)
    each = 3 * side**2
    return held[values.offset * each : (values.offset + len(values)) * each].reshape(-1, side, side, 3)
