"""The networks that functions of our own load, with random weights instead of the published ones."""

from __future__ import annotations

from collections.abc import Callable

import diffusers
import torch
import transformers
from torch import nn
from transformers.models.sam.modeling_sam import SamVisionEncoder

from opabinia.encoders.backbones.diffusion import DiffusionFeatures
from opabinia.encoders.backbones.eagle_sam import EagleSam
from opabinia.encoders.backbones.eva02_detection import Eva02Detection
from opabinia.encoders.entry import EncoderEntry


def build(entry: EncoderEntry) -> nn.Module:
    """The entry's network with random weights, on torch's current default device."""
    return _NETWORKS[entry.model.removeprefix("opabinia.encoders.backbones.")]()


def _sam_large() -> nn.Module:
    return EagleSam(
        SamVisionEncoder(
            transformers.SamVisionConfig(
                hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, global_attn_indexes=[5, 11, 17, 23]
            )
        )
    )


def _stable_diffusion_2_1() -> nn.Module:
    unet = diffusers.UNet2DConditionModel(
        sample_size=96, attention_head_dim=[5, 10, 20, 20], cross_attention_dim=1024, use_linear_projection=True,
        upcast_attention=True,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=768,
    )  # fmt: skip
    return DiffusionFeatures(vae, unet, torch.zeros(1, 77, 1024), signal=0.5)


_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "diffusion:load": _stable_diffusion_2_1,
    "eagle_sam:load": _sam_large,
    "eva02_detection:load": Eva02Detection,
}
