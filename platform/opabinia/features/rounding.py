"""How far stored features are from what the encoder gave, measured as they are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opabinia.features.packing import Packed
from opabinia.features.rows import LanceFileWriter, LanceTable, files_of, lance_file

if TYPE_CHECKING:
    from torch import Tensor

_STATED = ("squares", "changed")


@dataclass(frozen=True, slots=True)
class Rounding:
    """Sums over all values: the squares of the features, and the squares of what storing changed in them."""

    squares: float = 0.0
    changed: float = 0.0

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(self.squares + other.squares, self.changed + other.changed)

    @property
    def relative_error(self) -> float:
        """|stored - given| / |given|, both norms over all pictures together."""
        return math.sqrt(self.changed / self.squares) if self.squares else 0.0


def rounding_of(features: Tensor, packed: Packed) -> Rounding:
    """What `pack` made of `features`, both [pictures, tokens, width]."""
    given = features.detach().to("cpu").float()
    return Rounding(_squares(given), _squares(packed.unpacked() - given))


def state_rounding(writer: LanceFileWriter, rounding: Rounding) -> None:
    """Write it into the data file itself, where a build that is killed later leaves it."""
    for name in _STATED:
        writer.add_schema_metadata(name, repr(getattr(rounding, name)))


def column_rounding(table: LanceTable, column: str) -> Rounding:
    """What all the files of a column state, together."""
    total = Rounding()
    for name in files_of(table, column):
        reader = lance_file.LanceFileReader(str(Path(table.uri) / "data" / name))
        stated: dict[bytes, bytes] = reader.metadata().schema.metadata
        total += Rounding(*(float(stated[key.encode()]) for key in _STATED))
    return total


def _squares(values: Tensor) -> float:
    import torch

    return torch.sum(values.square(), dtype=torch.float64).item()
