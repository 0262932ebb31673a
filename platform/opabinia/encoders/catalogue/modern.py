"""Encoders released after the Cambrian-1 and Eagle studies.

Pictures are stretched to the square, as SigLIP's own preparation does, which keeps all of them and wastes no token.
"""

from __future__ import annotations

from opabinia.encoders.catalogue.pixel_statistics import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from opabinia.encoders.entry import EncoderEntry

_SIGLIP2 = (
    EncoderEntry(
        id="siglip2/so-384", family="language-supervised", architecture="ViT-SO400M/16", library="timm",
        weights="timm/vit_so400m_patch16_siglip_384.v2_webli",
        input_size=384, mean=HALF, std=HALF, patch=16, grid=24, width=1152, leading_tokens=0, layer=-1,
        parameters=413_018_352, licence="Apache-2.0",
    ),
    EncoderEntry(
        id="siglip2/so-512", family="language-supervised", architecture="ViT-SO400M/16", library="timm",
        weights="timm/vit_so400m_patch16_siglip_512.v2_webli",
        input_size=512, mean=HALF, std=HALF, patch=16, grid=32, width=1152, leading_tokens=0, layer=-1,
        parameters=413_534_448, licence="Apache-2.0",
    ),
    EncoderEntry(
        id="siglip2/g-384", family="language-supervised", architecture="ViT-g/16", library="timm",
        weights="timm/vit_giantopt_patch16_siglip_384.v2_webli",
        input_size=384, mean=HALF, std=HALF, patch=16, grid=24, width=1536, leading_tokens=0, layer=-1,
        parameters=1_135_329_792, licence="Apache-2.0",
    ),
)  # fmt: skip

_DINOV3 = (
    EncoderEntry(
        id="dinov3/l-512", family="self-supervised", architecture="ViT-L/16", library="timm",
        weights="timm/vit_large_patch16_dinov3.lvd1689m",
        input_size=512, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=32, width=1024, leading_tokens=5, layer=-1,
        parameters=303_079_424, licence="DINOv3",
    ),
    EncoderEntry(
        id="dinov3/h-plus-512", family="self-supervised", architecture="ViT-H+/16", library="timm",
        weights="timm/vit_huge_plus_patch16_dinov3.lvd1689m",
        input_size=512, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=32, width=1280, leading_tokens=5, layer=-1,
        parameters=840_509_440, licence="DINOv3",
    ),
)  # fmt: skip

_AIMV2 = (
    EncoderEntry(
        id="aimv2/l-336", family="generative", architecture="ViT-L/14", library="timm",
        weights="timm/aimv2_large_patch14_336.apple_pt",
        input_size=336, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=24, width=1024, leading_tokens=0, layer=-1,
        parameters=309_525_504, licence="Apple ASCL",
    ),
    EncoderEntry(
        id="aimv2/h-448", family="generative", architecture="ViT-H/14", library="timm",
        weights="timm/aimv2_huge_patch14_448.apple_pt",
        input_size=448, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=32, width=1536, leading_tokens=0, layer=-1,
        parameters=682_031_616, licence="Apple ASCL",
    ),
)  # fmt: skip

# Students of SigLIP, DINO and SAM teachers together (Ranzinger et al. 2024).
_RADIO = (
    EncoderEntry(
        id="radio/l-v3-512", family="distilled", architecture="ViT-L/16", library="timm",
        weights="timm/vit_large_patch16_radio_v3.c_radio",
        input_size=512, mean=CLIP_MEAN, std=CLIP_STD, patch=16, grid=32, width=1024, leading_tokens=8, layer=-1,
        parameters=304_202_752, licence="NVIDIA Open Model",
    ),
    EncoderEntry(
        id="radio/so-v4-512", family="distilled", architecture="ViT-SO400M/16", library="timm",
        weights="timm/vit_so400m_patch16_radio_v4.c_radio",
        input_size=512, mean=CLIP_MEAN, std=CLIP_STD, patch=16, grid=32, width=1152, leading_tokens=10, layer=-1,
        parameters=413_543_664, licence="NVIDIA Open Model",
    ),
)  # fmt: skip

_PERCEPTION_ENCODER = (
    EncoderEntry(
        id="pe/core-l-336", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_pe_core_large_patch14_336.fb",
        input_size=336, mean=HALF, std=HALF, patch=14, grid=24, width=1024, leading_tokens=1, layer=-1,
        parameters=303_507_456, licence="Apache-2.0",
    ),
    EncoderEntry(
        id="pe/lang-l-448", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_pe_lang_large_patch14_448.fb",
        input_size=448, mean=HALF, std=HALF, patch=14, grid=32, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, parameters=291_415_040, licence="Apache-2.0",
    ),
)  # fmt: skip

_INTERNVIT = (
    EncoderEntry(
        id="internvit/300m-448", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_intern300m_patch14_448.ogvl_2pt5",
        input_size=448, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=32, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, parameters=304_012_288, licence="MIT",
    ),
    # As InternVL reads it: 256 tokens of four cells each (Chen et al. 2024, §3.1).
    EncoderEntry(
        id="internvit/300m-448-unshuffled", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_intern300m_patch14_448.ogvl_2pt5",
        input_size=448, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=16, width=4096, leading_tokens=1, layer=-1,
        post_norm=False, unshuffle=2, parameters=304_012_288, licence="MIT",
    ),
)  # fmt: skip

ENTRIES = (*_SIGLIP2, *_DINOV3, *_AIMV2, *_RADIO, *_PERCEPTION_ENCODER, *_INTERNVIT)
