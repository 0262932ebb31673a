"""The encoders of the Cambrian-1 study (Tong et al. 2024, table 9) and the towers of its released models.

Every tower gets the picture padded to a square with its mean colour. The study interpolates the large maps of convolutional
and dense encoders, and of DINOv2 at 518 pixels, to 24 x 24, and those of the diffusion model to 32 x 32; the others keep the
grid they have. Widths are those of the features (the paper's table gives CLIP's projection).
"""

from __future__ import annotations

from opabinia.encoders.catalogue.pixel_statistics import CLIP_MEAN, CLIP_STD, HALF, IMAGENET_MEAN, IMAGENET_STD
from opabinia.encoders.entry import EncoderEntry

_LANGUAGE_SUPERVISED = (
    EncoderEntry(
        id="cambrian/clip-l-336", family="language-supervised", architecture="ViT-L/14", library="timm",
        weights="timm/vit_large_patch14_clip_336.openai", model="vit_large_patch14_clip_quickgelu_336.openai",
        input_size=336, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=24, width=1024, leading_tokens=1, layer=-2,
        post_norm=False, parameters=290_909_184, licence="MIT", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/dfn-l-224", family="language-supervised", architecture="ViT-L/14", library="open_clip",
        weights="apple/DFN2B-CLIP-ViT-L-14", model="ViT-L-14-quickgelu",
        input_size=224, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=16, width=1024, leading_tokens=1, layer=-1,
        parameters=303_179_776, licence="Apple ASCL", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/dfn-h-378", family="language-supervised", architecture="ViT-H/14", library="open_clip",
        weights="apple/DFN5B-CLIP-ViT-H-14-378", model="ViT-H-14-378-quickgelu",
        input_size=378, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=27, width=1280, leading_tokens=1, layer=-1,
        parameters=631_371_520, licence="Apple ASCL", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/eva02-l-336", family="language-supervised", architecture="EVA-02-L/14", library="timm",
        weights="timm/eva02_large_patch14_clip_336.merged2b",
        input_size=336, mean=CLIP_MEAN, std=CLIP_STD, patch=14, grid=24, width=1024, leading_tokens=1, layer=-1,
        parameters=303_645_632, licence="MIT", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/siglip-l-384", family="language-supervised", architecture="ViT-L/16", library="timm",
        weights="timm/vit_large_patch16_siglip_384.webli",
        input_size=384, mean=HALF, std=HALF, patch=16, grid=24, width=1024, leading_tokens=0, layer=-1,
        parameters=303_688_704, licence="Apache-2.0", fit="pad", fill=CLIP_MEAN,
    ),
    EncoderEntry(
        id="cambrian/siglip-so-384", family="language-supervised", architecture="ViT-SO400M/14", library="timm",
        weights="timm/vit_so400m_patch14_siglip_384.webli",
        input_size=384, mean=HALF, std=HALF, patch=14, grid=27, width=1152, leading_tokens=0, layer=-1,
        parameters=412_987_248, licence="Apache-2.0", fit="pad", fill=CLIP_MEAN,
    ),
    EncoderEntry(
        id="cambrian/convnext-l-512", family="language-supervised", architecture="ConvNeXt-L", library="timm",
        weights="timm/convnext_large_mlp.clip_laion2b_ft_soup_320",
        input_size=512, mean=CLIP_MEAN, std=CLIP_STD, patch=32, grid=24, width=1536, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear", parameters=196_227_264, licence="MIT", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/convnext-l-1024", family="language-supervised", architecture="ConvNeXt-L", library="timm",
        weights="timm/convnext_large_mlp.clip_laion2b_ft_soup_320",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=32, grid=24, width=1536, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear", parameters=196_227_264, licence="MIT", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/convnext-xxl-1024", family="language-supervised", architecture="ConvNeXt-XXL", library="timm",
        weights="timm/convnext_xxlarge.clip_laion2b_soup",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=32, grid=24, width=3072, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear", parameters=843_391_872, licence="MIT", fit="pad",
    ),
)  # fmt: skip

_SELF_SUPERVISED = (
    EncoderEntry(
        id="cambrian/dinov2-l-336", family="self-supervised", architecture="ViT-L/14", library="transformers",
        weights="facebook/dinov2-large", model="Dinov2Model",
        input_size=336, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=24, width=1024, leading_tokens=1, layer=-1,
        parameters=304_367_616, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/dinov2-l-518", family="self-supervised", architecture="ViT-L/14", library="transformers",
        weights="facebook/dinov2-large", model="Dinov2Model",
        input_size=518, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=24, width=1024, leading_tokens=1, layer=-1,
        interpolation="bilinear", parameters=304_367_616, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/moco-b-224", family="self-supervised", architecture="ViT-B/16", library="timm",
        weights="nyu-visionx/moco-v3-vit-b", model="vit_base_patch16_224",
        input_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=14, width=768, leading_tokens=1, layer=-1,
        parameters=85_798_656, licence="CC-BY-NC-4.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/moco-l-224", family="self-supervised", architecture="ViT-L/16", library="timm",
        weights="nyu-visionx/moco-v3-vit-l", model="vit_large_patch16_224",
        input_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=14, width=1024, leading_tokens=1, layer=-1,
        parameters=303_301_632, licence="CC-BY-NC-4.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/mae-l-224", family="self-supervised", architecture="ViT-L/16", library="timm",
        weights="timm/vit_large_patch16_224.mae",
        input_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=14, width=1024, leading_tokens=1, layer=-1,
        parameters=303_301_632, licence="CC-BY-NC-4.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/mae-h-224", family="self-supervised", architecture="ViT-H/14", library="timm",
        weights="timm/vit_huge_patch14_224.mae",
        input_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=16, width=1280, leading_tokens=1, layer=-1,
        parameters=630_764_800, licence="CC-BY-NC-4.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/ijepa-h-224", family="self-supervised", architecture="ViT-H/14", library="transformers",
        weights="facebook/ijepa_vith14_22k", model="IJepaModel",
        input_size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=16, width=1280, leading_tokens=0, layer=-1,
        parameters=630_762_240, licence="CC-BY-NC-4.0", fit="pad",
    ),
)  # fmt: skip

_DENSE_AND_CLASS_SUPERVISED = (
    EncoderEntry(
        id="cambrian/sam-l-1024", family="dense-supervised", architecture="ViTDet-L/16", library="timm",
        weights="timm/samvit_large_patch16.sa1b",
        input_size=1024, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=24, width=1024, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear", parameters=307_425_280, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/sam-h-1024", family="dense-supervised", architecture="ViTDet-H/16", library="timm",
        weights="timm/samvit_huge_patch16.sa1b",
        input_size=1024, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=16, grid=24, width=1280, leading_tokens=0, layer=-1,
        post_norm=False, interpolation="bilinear", parameters=636_107_520, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/midas-l-384", family="dense-supervised", architecture="DPT-L/16", library="transformers",
        weights="Intel/dpt-large", model="DPTModel",
        input_size=384, mean=HALF, std=HALF, patch=16, grid=24, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, parameters=303_688_704, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/midas-beit-l-512", family="dense-supervised", architecture="BEiT-L/16", library="transformers",
        weights="Intel/dpt-beit-large-512", model="DPTForDepthEstimation", part="backbone",
        input_size=512, mean=HALF, std=HALF, patch=16, grid=32, width=1024, leading_tokens=1, layer=-1,
        post_norm=False, parameters=304_647_680, licence="MIT", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/supvit-l-224", family="class-supervised", architecture="ViT-L/16", library="timm",
        weights="timm/vit_large_patch16_224.orig_in21k",
        input_size=224, mean=HALF, std=HALF, patch=16, grid=14, width=1024, leading_tokens=1, layer=-1,
        parameters=303_301_632, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/supvit-h-224", family="class-supervised", architecture="ViT-H/14", library="timm",
        weights="timm/vit_huge_patch14_224.orig_in21k",
        input_size=224, mean=HALF, std=HALF, patch=14, grid=16, width=1280, leading_tokens=1, layer=-1,
        parameters=630_764_800, licence="Apache-2.0", fit="pad",
    ),
)  # fmt: skip

_GENERATIVE = (
    EncoderEntry(
        id="cambrian/sd21-512", family="generative", architecture="Stable Diffusion 2.1", library="python",
        weights="stabilityai/stable-diffusion-2-1", model="opabinia.encoders.backbones.diffusion:load",
        input_size=512, mean=HALF, std=HALF, patch=8, grid=32, width=3520, leading_tokens=0, layer=(0, 1, 2, 3),
        post_norm=False, interpolation="bilinear", parameters=900_062_224, licence="CreativeML Open RAIL++-M", fit="pad",
        fill=CLIP_MEAN,
    ),
)  # fmt: skip

# The released models read four towers: cambrian/clip-l-336 and these, resized for a spatial vision aggregator of 24 x 24.
_RELEASED = (
    EncoderEntry(
        id="cambrian/sva-siglip-so-384", family="language-supervised", architecture="ViT-SO400M/14", library="timm",
        weights="timm/vit_so400m_patch14_siglip_384.webli",
        input_size=384, mean=HALF, std=HALF, patch=14, grid=24, width=1152, leading_tokens=0, layer=-1,
        interpolation="bilinear", parameters=412_987_248, licence="Apache-2.0", fit="pad", fill=CLIP_MEAN,
    ),
    EncoderEntry(
        id="cambrian/sva-dinov2-g-378", family="self-supervised", architecture="ViT-g/14", library="transformers",
        weights="facebook/dinov2-giant", model="Dinov2Model",
        input_size=378, mean=IMAGENET_MEAN, std=IMAGENET_STD, patch=14, grid=24, width=1536, leading_tokens=1, layer=-1,
        interpolation="bilinear", parameters=1_136_479_232, licence="Apache-2.0", fit="pad",
    ),
    EncoderEntry(
        id="cambrian/sva-convnext-xxl-1024", family="language-supervised", architecture="ConvNeXt-XXL", library="timm",
        weights="timm/convnext_xxlarge.clip_laion2b_soup",
        input_size=1024, mean=CLIP_MEAN, std=CLIP_STD, patch=32, grid=96, width=5760, leading_tokens=0,
        layer=(0, 1, 2, 3), post_norm=False, interpolation="bilinear", parameters=843_391_872, licence="MIT", fit="pad",
    ),
)  # fmt: skip

ENTRIES = (*_LANGUAGE_SUPERVISED, *_SELF_SUPERVISED, *_DENSE_AND_CLASS_SUPERVISED, *_GENERATIVE, *_RELEASED)
