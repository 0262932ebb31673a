"""From the maps that a network gives to the feature grid that the catalogue promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from opabinia.encoders.entry import EncoderEntry, Interpolation


def map_from_tokens(tokens: Tensor, leading: int, name: str) -> Tensor:
    """`[batch, leading + side * side, channels]` -> `[batch, channels, side, side]`, the leading tokens dropped.

    Raises ValueError when the rest is no square.
    """
    rest = tokens[:, leading:].transpose(1, 2)
    side = round(rest.shape[2] ** 0.5)
    if side * side != rest.shape[2]:
        raise ValueError(
            f"encoder {name}: {rest.shape[2]} tokens remain without {leading} leading ones, which is no square grid; "
            "correct leading_tokens in the catalogue"
        )
    return rest.reshape(*rest.shape[:2], side, side)


def grid_from_maps(maps: Sequence[Tensor], entry: EncoderEntry) -> Tensor:
    """`[batch, channels, side, side]` per layer -> `[batch, grid * grid, width]`, row by row.

    Every map is resized on its own before they are joined on channels (Tong et al. 2024, §3.3).
    Raises ValueError when grid or width are not what the catalogue states.
    """
    side = entry.grid * entry.unshuffle
    sized = [resized(single, side, entry.interpolation) for single in maps]
    _check([single.shape[2] * single.shape[3] for single in sized], side * side, "tokens", entry)
    joined = torch.cat(sized, dim=1)
    folded = functional.pixel_unshuffle(joined, entry.unshuffle) if entry.unshuffle > 1 else joined
    _check([folded.shape[1]], entry.width, "channels", entry)
    return folded.flatten(2).transpose(1, 2)


def resized(maps: Tensor, side: int, interpolation: Interpolation | None) -> Tensor:
    """`[batch, channels, any, any]` -> `[batch, channels, side, side]`; as they are without interpolation or where they fit."""
    if interpolation is None or tuple(maps.shape[2:]) == (side, side):
        return maps
    aligned, antialiased = interpolation == "bilinear, corners aligned", interpolation == "bilinear, antialiased"
    # In float32 whatever the weights are in, as the published models do.
    answer = functional.interpolate(
        maps.float(), (side, side), mode="bilinear", align_corners=aligned, antialias=antialiased
    )
    return answer.to(maps.dtype)


def _check(given: Sequence[int], stated: int, what: str, entry: EncoderEntry) -> None:
    wrong = [count for count in given if count != stated]
    if wrong:
        raise ValueError(
            f"encoder {entry.id}: the weights give {wrong[0]} {what}, the catalogue states {stated}; "
            "correct grid and width in the catalogue"
        )
