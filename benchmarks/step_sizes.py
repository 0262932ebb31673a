"""The models that `train_step.py` trains, from one that a CPU trains in seconds to Qwen2.5-1.5B with two large encoders.

Geometry is what counts, so all weights are random and nothing is downloaded. Sizes: of Qwen2.5 (Qwen Team 2024, table 1), of SigLIP
(Zhai et al. 2023) and DINOv2 (Oquab et al. 2023), and the Spatial Vision Aggregator of Cambrian-1 (Tong et al. 2024, released code:
width 1024, 16 heads, depth 3, and again behind every third layer of the language model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from connectors.contract import GridShape
from connectors.settings.sva import SvaSettings
from opabinia.encoders.backbones import timm_models
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.catalogue.pixel_statistics import HALF
from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.loading import VisionEncoder
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig

_SEED = 0


@dataclass(frozen=True, slots=True)
class Size:
    """A model and what it is trained on.

    language_model: fields of transformers' Qwen2Config. rows: of a step; at_once: those computed on at once, whose gradients are added
    up. steps: that are timed. longest: tokens of the longest sample, the picture's included. text: the median of a pictured sample's
    tokens of text.
    """

    language_model: Mapping[str, int]
    encoders: tuple[EncoderEntry, ...]
    connector: SvaSettings
    rows: int
    at_once: int
    steps: int
    longest: int
    text: int


def _language_model(width: int, inner: int, layers: int, heads: int, key_heads: int, vocabulary: int) -> dict[str, int]:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "vocab_size": vocabulary,
    }


def _vit(model: str, input_size: int, patch: int, width: int, leading_tokens: int) -> EncoderEntry:
    """Of timm, in an architecture that no entry of the catalogue has."""
    return EncoderEntry(
        id=f"timm/{model}", family="self-supervised", architecture=model, library="timm", weights=f"timm/{model}",
        input_size=input_size, mean=HALF, std=HALF, patch=patch, grid=input_size // patch, width=width,
        leading_tokens=leading_tokens, layer=-1, parameters=0, licence="Apache-2.0",
    )  # fmt: skip


# The catalogue's is transformers' class, whose configuration would have to be downloaded; the geometry is the same.
_DINOV2_L = replace(find_encoder("cambrian/dinov2-l-336"), library="timm", model="vit_large_patch14_dinov2.lvd142m")

SIZES: dict[str, Size] = {
    "toy": Size(
        _language_model(128, 384, 4, 4, 2, 2048),
        (_vit("test_vit", 96, 16, 64, 1), _vit("test_vit2", 96, 16, 64, 1)),
        SvaSettings(queries=36, width=64, heads=4, in_llm_start=0, in_llm_stride=2, in_llm_count=2),
        rows=8, at_once=8, steps=16, longest=256, text=32,
    ),
    "small": Size(
        _language_model(384, 1024, 8, 6, 2, 16_000),
        (_vit("vit_tiny_patch16_224", 192, 16, 192, 1), _vit("vit_small_patch14_dinov2", 168, 14, 384, 1)),
        SvaSettings(queries=144, width=192, heads=6, in_llm_start=0, in_llm_stride=3, in_llm_count=3),
        rows=4, at_once=4, steps=6, longest=512, text=64,
    ),
    "medium": Size(
        _language_model(1024, 2816, 16, 16, 4, 64_000),
        (_vit("vit_base_patch16_siglip_384", 384, 16, 768, 0), _vit("vit_base_patch14_dinov2", 336, 14, 768, 1)),
        SvaSettings(queries=576, width=512, heads=8, depth=2, in_llm_start=0, in_llm_stride=3, in_llm_count=5),
        rows=16, at_once=16, steps=16, longest=2048, text=250,
    ),
    "large": Size(
        _language_model(1536, 8960, 28, 12, 2, 151_936),
        (find_encoder("cambrian/sva-siglip-so-384"), _DINOV2_L),
        SvaSettings(queries=576, width=1024, heads=16, depth=3, in_llm_start=0, in_llm_stride=3, in_llm_count=9),
        rows=16, at_once=8, steps=16, longest=2048, text=250,
    ),
}  # fmt: skip


def build_model(size: Size, device: str) -> MultimodalModel:
    """In float32, the same random weights in every process on this kind of device."""
    import transformers

    library: Any = transformers
    config = library.Qwen2Config(**size.language_model, tie_word_embeddings=True)
    grids = [GridShape(entry.grid, entry.width) for entry in size.encoders]
    names = tuple(entry.id for entry in size.encoders)
    torch.manual_seed(_SEED)
    with torch.device(device):
        settings = ModelConfig(encoders=names, connector=size.connector, language_model="random weights")
        return MultimodalModel(settings, library.Qwen2ForCausalLM(config), grids)


def build_encoders(size: Size, device: str, computes_in: torch.dtype) -> list[VisionEncoder]:
    """Frozen, so that their weights can be kept in what is computed in; the same random weights as `build_model` gives."""
    torch.manual_seed(_SEED)
    with torch.device(device):
        return [VisionEncoder(entry, timm_models.build(entry)).to(computes_in) for entry in size.encoders]
