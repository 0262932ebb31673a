"""Self-supervision: a ViT that sees a quarter of the patches and paints the rest (He et al. 2022, "MAE")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from opabinia.burgess.pretraining.loop import EncoderPretraining, pretrain
from opabinia.burgess.pretraining.pictures import draw_pictures

SIDE, PATCH, WIDTH = 96, 8, 128
_MASKED = 0.7


def pretrain_mae_vit(config: EncoderPretraining, folder: Path) -> float:
    """Train and save the encoder in Hugging Face format (a plain ViT); returns the final reconstruction loss."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(config.seed)
    pictures = draw_pictures(config.pictures, f"pictures-{config.seed}", SIDE)
    sizes = dict(hidden_size=WIDTH, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4)
    decoder = dict(
        decoder_hidden_size=64,
        decoder_intermediate_size=192,
        decoder_num_hidden_layers=2,
        decoder_num_attention_heads=4,
    )
    settings = ViTMAEConfig(
        image_size=SIDE, patch_size=PATCH, mask_ratio=_MASKED, norm_pix_loss=False, **sizes, **decoder
    )
    model: Any = ViTMAEForPreTraining(settings)
    loss = pretrain("mae-vit", model, lambda batch: model(pictures.batch(batch)).loss, config)
    _as_plain_vit(model, sizes).save_pretrained(folder)
    return loss


def _as_plain_vit(model: Any, sizes: dict[str, int]) -> Any:
    """The same weights without masking, so that any library that loads a ViT loads this one."""
    from transformers import ViTConfig, ViTModel

    plain = ViTModel(ViTConfig(image_size=SIDE, patch_size=PATCH, **sizes), add_pooling_layer=False)
    plain.load_state_dict(model.vit.state_dict(), strict=True)
    return plain
