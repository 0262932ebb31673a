"""In which order a connector's visual tokens stand in the text, and which of them are cells of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from connectors.grids import square_side
from connectors.padding import ImageSize, kept_span


@dataclass(frozen=True, slots=True)
class Layout:
    """The visual tokens of several images, one after another.

    tokens: [visual tokens, width]. lengths: [images], how many are whose. cells: [kept cells], indices into [images * queries] of
    the connector's tokens that were kept. at: [kept cells], where among `tokens` each of them stands.
    """

    tokens: Tensor
    lengths: Tensor
    cells: Tensor
    at: Tensor


def visual_length(queries: int, size: ImageSize | None) -> int:
    """How many visual tokens the text gets for a picture: `queries`, or, with the size of one whose rows are separated, what
    `separated_rows` keeps of them and the separators.
    """
    if size is None:
        return queries
    side = square_side(queries)
    rows, columns = (range(side)[span] for span in kept_span(size, side))
    return len(rows) * (len(columns) + 1)


def whole_grids(tokens: Tensor) -> Layout:
    """Every token of `tokens: [images, queries, width]` in its order."""
    images, queries = tokens.shape[:2]
    every = torch.arange(images * queries, device=tokens.device)
    return Layout(tokens.flatten(0, 1), torch.full((images,), queries, device=tokens.device), every, every)


def separated_rows(tokens: Tensor, separator: Tensor, sizes: Sequence[ImageSize]) -> Layout:
    """Only the rows and columns that hold picture, each row ended by `separator: [width]` (Tong et al. 2024, released code).

    tokens: [images, queries, width]; sizes: of the pictures before they were padded to squares.
    Raises ValueError when sizes and images differ in number.
    """
    if len(sizes) != len(tokens):
        raise ValueError(f"image_sizes: {len(sizes)} sizes for {len(tokens)} images; give one each")
    side = square_side(tokens.shape[1])
    number = torch.arange(tokens.shape[0] * tokens.shape[1], device=tokens.device).view(-1, side, side)
    numbers = [_ended_rows(grid[kept_span(size, side)]) for grid, size in zip(number, sizes, strict=True)]
    order = torch.cat(numbers)
    is_cell = order >= 0
    # The separator stands last, where the index -1 finds it.
    everything = torch.cat([tokens.flatten(0, 1), separator.to(tokens.dtype).unsqueeze(0)])
    lengths = torch.tensor([len(kept) for kept in numbers], device=tokens.device)
    return Layout(everything[order], lengths, order[is_cell], is_cell.nonzero().flatten())


def _ended_rows(numbers: Tensor) -> Tensor:
    """[rows, columns] -> [rows * (columns + 1)], with -1 after each row."""
    return functional.pad(numbers, (0, 1), value=-1).flatten()
