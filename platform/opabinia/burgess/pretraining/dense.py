"""Dense supervision: a ConvNeXt that labels every point with its kind and depth (as SAM and MiDaS are taught)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from opabinia.burgess.pretraining.loop import pretrain
from opabinia.burgess.pretraining.pictures import DENSE_GRID, KINDS, depth_map, draw_pictures, kind_map
from opabinia.burgess.pretraining.settings import EncoderPretraining

SIDE = 64
STAGES = (32, 64, 144)
_CELL = 4
"""Dense points along one side of a final feature cell."""


class DenseLabeller(nn.Module):
    """Encoder and a linear head that unfolds each final cell into 4 x 4 labelled points; only the encoder is kept."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ConvNextConfig, ConvNextModel

        config = ConvNextConfig(
            image_size=SIDE,
            patch_size=4,
            drop_path_rate=0.0,
            num_stages=len(STAGES),
            hidden_sizes=list(STAGES),
            depths=[2, 2, 4],
        )
        self.encoder = ConvNextModel(config)
        self.head = nn.Conv2d(STAGES[-1], (len(KINDS) + 1) * _CELL * _CELL, 1)

    def forward(self, pixels: torch.Tensor, kinds: torch.Tensor, depths: torch.Tensor) -> torch.Tensor:
        """Loss over `kinds: [batch, 16, 16]` and inverse `depths: [batch, 16, 16]`."""
        points = functional.pixel_shuffle(self.head(self.encoder(pixels).last_hidden_state), _CELL)
        # Background covers most points; without weights the small far things would hardly be taught.
        weight = torch.tensor([0.2] + [1.0] * (len(KINDS) - 1))
        labelling = functional.cross_entropy(points[:, :-1], kinds, weight=weight)
        return labelling + 5 * functional.mse_loss(points[:, -1], depths)


def pretrain_dense_convnext(config: EncoderPretraining, folder: Path) -> float:
    """Train and save the encoder in Hugging Face format; returns the final loss."""
    torch.manual_seed(config.seed)
    pictures = draw_pictures(config.pictures, f"pictures-{config.seed}", SIDE)
    kinds = torch.from_numpy(np.stack([kind_map(scene) for scene in pictures.scenes])).long()
    depths = torch.from_numpy(np.stack([depth_map(scene) for scene in pictures.scenes]))
    assert kinds.shape[1:] == (DENSE_GRID, DENSE_GRID)
    model = DenseLabeller()
    loss = pretrain("dense-convnext", model, lambda i: model(pictures.batch(i), kinds[i], depths[i]), config)
    model.encoder.save_pretrained(folder)
    return loss
