"""The vision encoders an experiment file can name, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opabinia.names import unknown

Family = Literal["language-supervised", "self-supervised", "dense-supervised"]
Library = Literal["transformers"]


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """One encoder: where its weights are, how a picture becomes its input, and what its features look like.

    `input_size` in pixels; `grid` is the side of the feature grid in tokens and `width` its channels. `leading_tokens` are dropped
    before the grid (class token). `layer` indexes the hidden states, -1 being the library's final, normalised output.
    """

    id: str
    family: Family
    architecture: str
    library: Library
    weights: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    patch: int
    grid: int
    width: int
    leading_tokens: int
    layer: int
    parameters: int
    licence: str


_HALF = (0.5, 0.5, 0.5)

_ENTRIES = (
    EncoderEntry(
        id="burgess/caption-vit", family="language-supervised", architecture="ViT", library="transformers",
        weights="package:opabinia.burgess/weights/caption-vit", input_size=64, mean=_HALF, std=_HALF, patch=8, grid=8,
        width=128, leading_tokens=0, layer=-1, parameters=694_656, licence="Apache-2.0",
    ),
    EncoderEntry(
        id="burgess/mim-vit", family="self-supervised", architecture="ViT", library="transformers",
        weights="package:opabinia.burgess/weights/mim-vit", input_size=96, mean=_HALF, std=_HALF, patch=8, grid=12,
        width=128, leading_tokens=1, layer=-1, parameters=705_152, licence="Apache-2.0",
    ),
    EncoderEntry(
        id="burgess/dense-convnext", family="dense-supervised", architecture="ConvNeXt", library="transformers",
        weights="package:opabinia.burgess/weights/dense-convnext", input_size=64, mean=_HALF, std=_HALF, patch=16, grid=4,
        width=144, leading_tokens=0, layer=-1, parameters=837_392, licence="Apache-2.0",
    ),
)  # fmt: skip

CATALOGUE: dict[str, EncoderEntry] = {entry.id: entry for entry in _ENTRIES}


def find_encoder(name: str, place: str = "") -> EncoderEntry:
    """The entry with this id. Raises ValueError with the nearest known id; `place` is the field that named it."""
    if name not in CATALOGUE:
        raise unknown("vision encoder", name, CATALOGUE, place=place)
    return CATALOGUE[name]
