"""From Arrow columns of lists to rows, without a Python object for each token."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from opabinia.data.arrow import ArrowTable, pa

_BATCHED = ("input_ids", "labels", "lengths", "images", "image_keys")


def rows_of(table: ArrowTable) -> list[dict[str, Any]]:
    """What a batch is made of, row by row; numbers as arrays of int64, texts as lists."""
    columns = {name: _lists(table[name]) for name in _BATCHED}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _lists(column: Any) -> list[Any]:
    whole = column.combine_chunks()
    if not pa.types.is_integer(whole.type.value_type):
        return whole.to_pylist()
    values = whole.values.to_numpy().astype(np.int64)
    return [values[start:stop] for start, stop in pairwise(whole.offsets.to_numpy())]
