"""Entries for scaled-down networks with random weights."""

from __future__ import annotations

from opabinia.encoders.catalogue import EncoderEntry

VIT = EncoderEntry(
    id="small/vit", family="self-supervised", architecture="ViT", library="timm", weights="timm/test_vit.r160_in1k",
    input_size=64, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), patch=16, grid=4, width=64, leading_tokens=1, layer=-1,
    parameters=0, licence="none",
)  # fmt: skip
