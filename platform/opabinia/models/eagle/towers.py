"""The towers of the released Eagle models: which encoder each is, and where its published weights go."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from opabinia.encoders.backbones import timm_models
from opabinia.encoders.catalogue import find_encoder
from opabinia.encoders.entry import EncoderEntry
from opabinia.names import unknown

Profile = Literal["eagle_release", "eagle_paper"]
"""CLIP reads 336 pixels in the released code, whose towers are named for the 448 of the paper."""

_CLIP: dict[Profile, str] = {"eagle_release": "eagle/clip-l-336", "eagle_paper": "eagle/clip-l-448"}


_NOTHING, _SCALE = r"(?!)", r"(blocks\.\d+)\.gamma$"


def _itself(network: nn.Module, _entry: EncoderEntry) -> nn.Module:
    return network


@dataclass(frozen=True, slots=True)
class Tower:
    """One tower.

    build: the network as the checkpoint has it, with nothing but weights in it that `places` names. places: by published name, the
    tensor that a weight is copied into. unused: what published names without a place match. renamed: the pattern of another spelling,
    and what it stands for. finished: makes the filled network the one that the catalogue's entry describes.
    """

    entry: EncoderEntry
    build: Callable[[EncoderEntry], nn.Module]
    places: Callable[[nn.Module], dict[str, Tensor]]
    unused: str = _NOTHING
    renamed: tuple[str, str] = (_NOTHING, "")
    finished: Callable[[nn.Module, EncoderEntry], nn.Module] = _itself

    def own_name(self, key: str) -> str | None:
        """The name in `places` of the published weight `key`; None for one that nothing reads."""
        return None if re.search(self.unused, key) else re.sub(*self.renamed, key)


def published_towers(profile: Profile) -> dict[str, Tower]:
    """By the name that `mm_vision_tower` gives them. Raises ValueError for an unknown profile."""
    if profile not in _CLIP:
        raise unknown("profile", profile, _CLIP, place="profile")
    return {
        "clip-448": Tower(find_encoder(_CLIP[profile]), _build_clip, clip_places, r"position_ids$", finished=_finished_clip),
        "convnext-1024": Tower(
            find_encoder("eagle/convnext-xxl-1024"), _build_convnext, convnext_places, r"^head\.", (_SCALE, r"\1.weight")
        ),
        "sam-1024": Tower(find_encoder("eagle/sam-l-1024"), _build_sam, sam_places),
        "det-1024": Tower(find_encoder("eagle/eva02-det-1024"), _build_eva02, own_places, r"rope"),
        "pix2struct-1024": Tower(find_encoder("eagle/pix2struct-l-720"), _build_pix2struct, own_places),
    }  # fmt: skip


def own_places(network: nn.Module) -> dict[str, Tensor]:
    """Of a network whose names are the published ones."""
    return dict(network.state_dict())


def sam_places(network: nn.Module) -> dict[str, Tensor]:
    return {name.removeprefix("encoder."): weight for name, weight in network.state_dict().items()}


def convnext_places(network: nn.Module) -> dict[str, Tensor]:
    """The release calls the scale of a block its weight."""
    return {re.sub(_SCALE, r"\1.weight", name): weight for name, weight in network.state_dict().items()}


def clip_places(network: nn.Module) -> dict[str, Tensor]:
    """transformers' names of CLIP for the weights of timm's vision transformer, which has queries, keys and values in one."""
    places: dict[str, Tensor] = {}
    for name, weight in network.state_dict().items():
        if ".attn.qkv." in name:
            parts = zip("qkv", weight.chunk(3), strict=True)
            places |= {_clip_name(name.replace("qkv", f"{part}_proj")): piece for part, piece in parts}
        else:
            places[_clip_name(name)] = (
                weight[0, 0] if name == "cls_token" else weight[0] if name == "pos_embed" else weight
            )
    return places


_CLIP_NAMES = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding.weight"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm_pre\.", "pre_layrnorm."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.out_proj."),
    (r"^blocks\.(\d+)\.attn\.", r"encoder.layers.\1.self_attn."),
    (r"^blocks\.(\d+)\.norm(\d)\.", r"encoder.layers.\1.layer_norm\2."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.\1."),
)


def _clip_name(name: str) -> str:
    pattern, replacement = next(pair for pair in _CLIP_NAMES if re.search(pair[0], name))
    return "vision_model." + re.sub(pattern, replacement, name)


def _build_clip(entry: EncoderEntry) -> nn.Module:
    import timm

    library: Any = timm
    # At the size it was trained for: the checkpoint's table of positions has that size.
    return library.create_model(entry.model, num_classes=0)


def _build_convnext(entry: EncoderEntry) -> nn.Module:
    network: Any = timm_models.build(entry)
    network.head = nn.Identity()
    return network


def _finished_clip(network: nn.Module, entry: EncoderEntry) -> nn.Module:
    clip: Any = network
    clip.set_input_size((entry.input_size, entry.input_size))
    return timm_models.without_class_token(clip)


def _build_sam(_entry: EncoderEntry) -> nn.Module:
    from transformers import SamVisionConfig
    from transformers.models.sam.modeling_sam import SamVisionEncoder

    from opabinia.encoders.backbones.eagle_sam import EagleSam

    return EagleSam(
        SamVisionEncoder(
            SamVisionConfig(
                hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, global_attn_indexes=[5, 11, 17, 23]
            )
        )
    )


def _build_eva02(_entry: EncoderEntry) -> nn.Module:
    from opabinia.encoders.backbones.eva02_detection import Eva02Detection

    return Eva02Detection()


def _build_pix2struct(_entry: EncoderEntry) -> nn.Module:
    from transformers import Pix2StructVisionConfig, Pix2StructVisionModel

    return Pix2StructVisionModel(
        Pix2StructVisionConfig(hidden_size=1536, d_ff=3968, num_hidden_layers=18, num_attention_heads=24)
    )
