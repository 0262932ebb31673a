"""Hyper-parameters of the published transformers models, since their config files are out of reach of the tests."""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn

from opabinia.encoders.backbones.hf import part_of
from opabinia.encoders.entry import EncoderEntry

_LARGE: dict[str, Any] = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
_HUGE: dict[str, Any] = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16}


def build(entry: EncoderEntry) -> nn.Module:
    """The entry's network with random weights, on torch's current default device."""
    return part_of(getattr(transformers, entry.model)(_CONFIGS[entry.weights]()), entry)


def _midas_beit() -> Any:
    backbone = transformers.BeitConfig(
        **_LARGE, intermediate_size=4096, image_size=512, use_relative_position_bias=True, reshape_hidden_states=False,
        out_features=["stage6", "stage12", "stage18", "stage24"],
    )  # fmt: skip
    return transformers.DPTConfig(backbone_config=backbone, hidden_size=1024, neck_hidden_sizes=[256, 512, 1024, 1024])


_CONFIGS: dict[str, Any] = {
    "facebook/dinov2-large": lambda: transformers.Dinov2Config(**_LARGE, image_size=518),
    "facebook/dinov2-giant": lambda: transformers.Dinov2Config(
        hidden_size=1536, num_hidden_layers=40, num_attention_heads=24, image_size=518, use_swiglu_ffn=True
    ),
    "facebook/ijepa_vith14_22k": lambda: transformers.IJepaConfig(**_HUGE, intermediate_size=5120, patch_size=14),
    "Intel/dpt-large": lambda: transformers.DPTConfig(**_LARGE, intermediate_size=4096),
    "Intel/dpt-beit-large-512": _midas_beit,
    "google/pix2struct-large": lambda: transformers.Pix2StructConfig(
        vision_config={"hidden_size": 1536, "d_ff": 3968, "num_hidden_layers": 18, "num_attention_heads": 24},
    ),
}
