"""Features as they are stored: rounded to the column's precision on the way in, float32 again on the way out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opabinia.data.arrow import ArrowArray, ArrowField, pa
from opabinia.features.encoder_source import Column
from opabinia.features.precision import Precision

if TYPE_CHECKING:
    from torch import Tensor

Numbers = np.ndarray[Any, np.dtype[Any]]

# Arrow and numpy have no bfloat16: its bits are stored, so that no value changes again.
_ARROW_TYPES: dict[Precision, Any] = {
    "float32": pa.float32(),
    "float16": pa.float16(),
    "bfloat16": pa.uint16(),
    "int8": pa.int8(),
}
_MOST = 127


@dataclass(frozen=True, slots=True)
class Packed:
    """values: [pictures, tokens, width] in the stored type; scales: float32 [pictures, tokens] for int8, or None."""

    values: Tensor
    scales: Tensor | None = None

    def unpacked(self) -> Tensor:
        """float32 [pictures, tokens, width]."""
        values = self.values.float()
        return values if self.scales is None else values * self.scales[..., None]

    def spread(self, places: list[int], rows: int) -> Packed:
        """The pictures at their places among `rows`, all others being zeros."""
        values = self.values.new_zeros(rows, *self.values.shape[1:])
        values[places] = self.values
        if self.scales is None:
            return Packed(values)
        scales = self.scales.new_zeros(rows, self.scales.shape[1])
        scales[places] = self.scales
        return Packed(values, scales)


def pack(features: Tensor, column: Column) -> Packed:
    """Raises ValueError where shape or range of `features`, [pictures, tokens, width], does not fit the column."""
    import torch

    if tuple(features.shape[1:]) != (column.tokens, column.width):
        expected = [column.tokens, column.width]
        raise ValueError(f"gives features of shape {list(features.shape[1:])} where {expected} was declared")
    precise = features.detach().to("cpu", torch.float32)
    packed = _quantised(precise) if column.precision == "int8" else Packed(precise.to(getattr(torch, column.precision)))
    # Before quantisation for int8: a cast of NaN to an integer looks like a number.
    if not torch.isfinite(precise if packed.scales is not None else packed.values).all():
        half = column.precision == "float16"
        limit = "beyond 65504, which bfloat16 holds, or not a number" if half else "infinite or not a number"
        raise ValueError(f"gives values that {column.precision} cannot hold ({limit})")
    return packed


def _quantised(features: Tensor) -> Packed:
    # Scales of channels would have to be known before the first picture is encoded.
    import torch

    scales = features.abs().amax(dim=2) / _MOST
    # A token of zeros has no scale to divide by.
    values = (features / scales.clamp(min=torch.finfo(torch.float32).tiny)[..., None]).round()
    return Packed(values.clamp(-_MOST, _MOST).to(torch.int8), scales)


def column_fields(column: Column) -> list[ArrowField]:
    """The Arrow fields of a column: tokens x width numbers a row, described in the field's metadata, and scales for int8."""
    stated = {"tokens": str(column.tokens), "width": str(column.width), "precision": column.precision}
    values = pa.field(column.name, pa.list_(_ARROW_TYPES[column.precision], column.values), metadata=stated)
    if column.precision != "int8":
        return [values]
    return [values, pa.field(column.names[1], pa.list_(pa.float32(), column.tokens))]


def arrow_arrays(packed: Packed) -> list[ArrowArray]:
    """One array per field of `column_fields`."""
    tensors = [packed.values.flatten(1)] + ([] if packed.scales is None else [packed.scales])
    return [
        pa.FixedSizeListArray.from_arrays(pa.array(_numbers(tensor).reshape(-1)), tensor.shape[1]) for tensor in tensors
    ]


def numbers_of(rows: ArrowArray, length: int) -> Numbers:
    """Arrow rows of `length` numbers -> [rows, length], read-only and without a copy."""
    # Not `flatten`, which leaves out null rows and would shift all that follow.
    values = rows.values.slice(rows.offset * length, len(rows) * length)
    return values.to_numpy(zero_copy_only=False).reshape(len(rows), length)


def packed_from(tensors: list[Tensor], column: Column) -> Packed:
    """What `numbers_of` gave for each field, as tensors, put together again."""
    import torch

    values = tensors[0].view(torch.bfloat16) if column.precision == "bfloat16" else tensors[0]
    scales = tensors[1] if len(tensors) > 1 else None
    return Packed(values.reshape(-1, column.tokens, column.width), scales)


def _numbers(tensor: Tensor) -> Numbers:
    import torch

    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
