"""In which order a connector's visual tokens stand in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from connectors.grids import square_side
from connectors.padding import ImageSize, kept_span

SEPARATOR = -2
"""Stands in an order for the vector that ends a row of visual tokens."""

_SQUARE: ImageSize = (1, 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a picture stands in the text: all `queries` tokens of the connector, or, with `separated` rows, only the rows and columns
    that hold picture, each row ended by a separator (Tong et al. 2024, released code).
    """

    queries: int
    separated: bool = False

    def orders(self, pictures: int, sizes: Sequence[ImageSize] | None) -> list[Tensor]:
        """Per picture [visual tokens], the connector's token, from 0, or SEPARATOR.

        sizes: width and height before pictures were padded to squares; without them all are squares. Raises ValueError where sizes
        and pictures differ in number.
        """
        if sizes is not None and len(sizes) != pictures:
            raise ValueError(f"image_sizes: {len(sizes)} sizes for {pictures} images; give one each")
        if not self.separated:
            return [torch.arange(self.queries)] * pictures
        return [_separated_rows(self.queries, size) for size in sizes or [_SQUARE] * pictures]

    def lengths(self, pictures: int, sizes: Sequence[ImageSize] | None) -> list[int]:
        """How many tokens of the text each picture becomes."""
        if not self.separated:
            return [self.queries] * pictures
        return [visual_length(self.queries, size) for size in sizes or [_SQUARE] * pictures]


def visual_length(queries: int, size: ImageSize | None) -> int:
    """How many visual tokens the text gets for a picture: `queries`, or, with the size of one whose rows are separated, those that are
    kept and the separators.
    """
    return queries if size is None else len(_separated_rows(queries, size))


@lru_cache(maxsize=4096)
def _separated_rows(queries: int, size: ImageSize) -> Tensor:
    side = square_side(queries)
    kept = torch.arange(queries).view(side, side)[kept_span(size, side)]
    return functional.pad(kept, (0, 1), value=SEPARATOR).flatten()
