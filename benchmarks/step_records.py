"""Conversations in memory that stand for LLaVA-665K (Liu et al. 2023): one picture each, but for a share of text alone.

Text has log-normal length: the median and the spread are this benchmark's assumption, as in `packing.py`. The pictures are noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from step_sizes import Size
from torch import Tensor

from opabinia.data.arrow import ArrowTable, pa
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.data.streaming.reading import ROW_SCHEMA
from opabinia.encoders.fitting import fitting_of, fittings_of
from opabinia.encoders.pixel_columns import pixel_array, pixel_tensor
from opabinia.encoders.preprocessing import normalised

# ShareGPT is 40 of 665 thousand samples, and several times as long.
_TEXT_ALONE, _TEXT_ALONE_LONGER = 40 / 665, 3
_SPREAD, _SHORTEST, _BEFORE_PICTURE = 0.6, 8, 4


@dataclass(frozen=True, slots=True)
class Records:
    """Records as the stream has them: a row of `table` each, with a column of squares for each fitting.

    lengths, pictured: [records], tokens in the language model, the picture's included, and whether there is a picture.
    supervised: how many tokens are to be predicted, of all.
    """

    table: ArrowTable
    lengths: NDArray[np.int64]
    pictured: NDArray[np.bool_]
    supervised: int

    @property
    def pictures(self) -> int:
        return int(self.pictured.sum())


def draw_records(size: Size) -> Records:
    """As many as the timed steps take, the same ones every time."""
    random = np.random.default_rng(0)
    count, queries = size.rows * size.steps, size.connector.queries
    pictured = random.random(count) >= _TEXT_ALONE
    medians = np.where(pictured, size.text, _TEXT_ALONE_LONGER * size.text)
    drawn = random.lognormal(np.log(medians), _SPREAD).astype(np.int64) + _SHORTEST
    text = np.minimum(drawn, size.longest - pictured * queries)
    rows = [_row(place, text, pictured, size, random) for place in range(count)]
    table = pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
    for fitting in fittings_of(size.encoders):
        shape = (fitting.side, fitting.side, 3)
        squares = [[random.integers(0, 256, shape, np.uint8)] if shown else [] for shown in pictured]
        table = table.append_column(fitting.name, pixel_array(squares, fitting))
    supervised = sum(label != IGNORE for row in rows for label in row["labels"])
    return Records(table, text + pictured * queries, pictured, supervised)


def pixels_of(table: ArrowTable, size: Size, device: str = "cpu") -> list[Tensor]:
    """Per encoder normalised pixels [pictures, 3, side, side]."""
    fittings = map(fitting_of, size.encoders)
    squares = [pixel_tensor(table[fitting.name], fitting).to(device) for fitting in fittings]
    return [normalised(square, entry) for square, entry in zip(squares, size.encoders, strict=True)]


def _row(
    place: int, text: NDArray[np.int64], pictured: NDArray[np.bool_], size: Size, random: np.random.Generator
) -> dict[str, Any]:
    """The second half of the text is the answer."""
    ids: list[int] = random.integers(0, size.language_model["vocab_size"], int(text[place])).tolist()
    labels = [IGNORE if position < len(ids) // 2 else token for position, token in enumerate(ids)]
    keys = [str(place)] if pictured[place] else []
    if keys:
        ids.insert(_BEFORE_PICTURE, IMAGE_TOKEN)
        labels.insert(_BEFORE_PICTURE, IGNORE)
    return {
        "input_ids": ids,
        "labels": labels,
        "lengths": [len(ids)],
        "images": keys,
        "image_keys": keys,
        "samples": [{"file": "drawn", "line": place, "id": str(place)}],
    }


def batch_of_longest(lengths: NDArray[np.int64], rows: int) -> int:
    """Which of the batches of so many rows, in this order, has the longest row."""
    return int(torch.from_numpy(lengths).view(-1, rows).amax(1).argmax())
