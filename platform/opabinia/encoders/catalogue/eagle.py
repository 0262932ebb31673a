"""Experts of Eagle (Shi et al. 2024), each brought to the 32 x 32 tokens that are joined on channels.

As in the released code, all share one tensor: the picture padded to a square of 1024 pixels and normalised by CLIP's statistics, which
each expert resizes to its own input. Pix2Struct takes the normalisation back and prepares the 1024 pixels as its own processor does:
standardised by the picture's own statistics, then resized with antialiasing to the largest square of whole patches, 45 x 45, that its
limit of 2048 patches admits (Lee et al. 2023; transformers' Pix2StructImageProcessor).
"""

from __future__ import annotations

from opabinia.encoders.catalogue.pixel_statistics import CLIP_MEAN, CLIP_STD
from opabinia.encoders.entry import EncoderEntry

ENTRIES = (
    EncoderEntry(
        id="eagle/clip-l-448", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_large_patch14_clip_336.openai", model="vit_large_patch14_clip_quickgelu_336.openai",
        input_size=448, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=32, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, classless=True, parameters=303_962_112, licence="MIT", fit="pad", shared_size=1024,
    ),
    # What the released models really run: the paper says 448 pixels, the code resizes to 336.
    EncoderEntry(
        id="eagle/clip-l-336", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_large_patch14_clip_336.openai", model="vit_large_patch14_clip_quickgelu_336.openai",
        input_size=336, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=32, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, classless=True, interpolation="bilinear, corners aligned", parameters=303_503_360, licence="MIT", fit="pad",
        shared_size=1024,
    ),
    EncoderEntry(
        id="eagle/convnext-xxl-1024", family="language-supervised", architecture="ConvNeXt-XXL", library="timm",
        weights="timm/convnext_xxlarge.clip_laion2b_soup",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=32, grid=32, width=3072, leading_tokens=0, layer=-1,
        post_norm=False, parameters=843_391_872, licence="MIT", fit="pad", shared_size=1024,
    ),
    # With a neck that is random unless a checkpoint of Eagle brings one: see the module that `model` names.
    EncoderEntry(
        id="eagle/sam-l-1024", family="dense-supervised", architecture="ViTDet-L/16", library="python",
        weights="facebook/sam-vit-large", model="opabinia.encoders.backbones.eagle_sam:load",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=16, grid=32, width=1024, leading_tokens=0, layer=-1,
        post_norm=False, unshuffle=2, parameters=307_687_936, licence="Apache-2.0", fit="pad", shared_size=1024,
    ),
    EncoderEntry(
        id="eagle/eva02-det-1024", family="dense-supervised", architecture="EVA-02-L/16", library="python",
        weights="Yuxin-CV/EVA-02/eva02/det/eva02_L_coco_det_sys_o365.pth",
        model="opabinia.encoders.backbones.eva02_detection:load",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=16, grid=32, width=1024, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear, corners aligned", parameters=303_388_608, licence="MIT", fit="pad", shared_size=1024,
    ),
    EncoderEntry(
        id="eagle/pix2struct-l-720", family="language-supervised", architecture="ViT-L/16", library="transformers",
        weights="google/pix2struct-large", model="Pix2StructForConditionalGeneration", part="encoder",
        input_size=720, mean=CLIP_MEAN, std=CLIP_STD, patch=16, grid=32, width=1536, leading_tokens=0, layer=-1,
        interpolation="bilinear, corners aligned", normalisation="picture", parameters=512_812_032, licence="Apache-2.0", fit="pad",
        shared_size=1024, shared_interpolation="bilinear, antialiased",
    ),
)  # fmt: skip
