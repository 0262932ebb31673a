"""SAM's image encoder as Eagle runs it (Shi et al. 2024, released code): behind a neck of one projection and one norm.

The neck of SAM's own weights does not fit. Eagle's is drawn at random, stays so while its connector is trained, and learns with the
encoder afterwards; only a checkpoint of Eagle brings a learnt one. Here it is drawn from a fixed seed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from opabinia.encoders.backbones import hf

_SEED = 0


class EagleSam(nn.Module):
    """`pixels: [batch, 3, 1024, 1024]` -> map `[batch, 256, 64, 64]`, for the sizes of SAM-L."""

    def __init__(self, encoder: Any) -> None:
        """`encoder` is transformers' image encoder of SAM; it loses its own neck."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            encoder.neck = _Neck(encoder.config.hidden_size, encoder.config.output_channels)
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor:
        return self.encoder(pixels).last_hidden_state


def load(weights: str) -> nn.Module:
    """Of a repository with SAM's weights. Raises ValueError when it has none of an image encoder."""
    model: Any = hf.pretrained(weights, "SamModel", "vision_encoder")
    return EagleSam(model.vision_encoder)


class _Neck(nn.Module):
    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, channels, 1, bias=False)
        self.layer_norm1 = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, cells: Tensor) -> Tensor:
        """`[batch, side, side, width]` -> `[batch, channels, side, side]`."""
        projected = self.conv1(cells.permute(0, 3, 1, 2))
        return self.layer_norm1(projected.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
