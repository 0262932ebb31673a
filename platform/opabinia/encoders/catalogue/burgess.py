"""The small encoders that ship with the toy world."""

from __future__ import annotations

from opabinia.encoders.entry import EncoderEntry

_HALF = (0.5, 0.5, 0.5)

ENTRIES = (
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
