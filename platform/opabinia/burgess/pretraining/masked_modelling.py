"""Self-supervision: a ViT that restores noisy pictures of which a third of the patches are hidden.

Masked image modelling with a linear head (Xie et al. 2022, "SimMIM"), but the visible patches count in the loss too: at this size
and length of training, restoring the hidden ones alone never leaves the plateau at which every patch is painted in the mean.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from opabinia.burgess.pretraining.loop import pretrain
from opabinia.burgess.pretraining.pictures import draw_pictures
from opabinia.burgess.pretraining.settings import EncoderPretraining

SIDE, PATCH, WIDTH = 96, 8, 128
_MASKED = 0.3
_NOISE = 0.3
"""Standard deviation of the noise on the input, in units of the pixel range -1..1 halved."""


class MaskedModeller(nn.Module):
    """Encoder and a linear head that paints each patch; only the encoder is kept."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTModel

        config = ViTConfig(
            hidden_size=WIDTH,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=PATCH,
        )
        self.encoder = ViTModel(config, add_pooling_layer=False, use_mask_token=True)
        self.head = nn.Linear(WIDTH, 3 * PATCH * PATCH)

    def forward(self, pixels: Tensor) -> Tensor:
        """Mean squared error of the restored `pixels: [batch, 3, side, side]`."""
        patches = functional.unfold(pixels, PATCH, stride=PATCH).transpose(1, 2)
        hidden = torch.rand(patches.shape[:2]) < _MASKED
        noisy = pixels + _NOISE * torch.randn_like(pixels)
        tokens = self.encoder(pixel_values=noisy, bool_masked_pos=hidden).last_hidden_state[:, 1:]
        return functional.mse_loss(self.head(tokens), patches)


def pretrain_mim_vit(config: EncoderPretraining, folder: Path) -> float:
    """Train and save the encoder in Hugging Face format; returns the final restoration loss."""
    torch.manual_seed(config.seed)
    pictures = draw_pictures(config.pictures, f"pictures-{config.seed}", SIDE)
    model = MaskedModeller()
    loss = pretrain("mim-vit", model, lambda batch: model(pictures.batch(batch)), config)
    model.encoder.save_pretrained(folder)
    return loss
