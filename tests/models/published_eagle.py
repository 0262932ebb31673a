"""A scaled-down Eagle in the published key layout, with random weights, and its features written out with transformers' modules."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam.modeling_sam import SamVisionEncoder

from opabinia.encoders.backbones.eagle_sam import EagleSam
from opabinia.encoders.backbones.eva02_detection import Eva02Detection
from opabinia.models.eagle.towers import Profile, Tower, published_towers

SHARED, GRID, HIDDEN = 128, 4, 16
X5 = ("clip-448", "convnext-1024", "sam-1024", "det-1024", "pix2struct-1024")
X4 = tuple(name for name in X5 if name != "sam-1024")
WIDTHS = {"clip-448": 32, "convnext-1024": 64, "sam-1024": 32, "det-1024": 16, "pix2struct-1024": 24}
MEAN, STD = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])

_SAM: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SHARED, "window_size": 4,
    "global_attn_indexes": [1], "output_channels": 8,
}  # fmt: skip
_PIX2STRUCT: dict[str, Any] = {
    "hidden_size": 24,
    "d_ff": 32,
    "d_kv": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_EVA02: dict[str, Any] = {"width": 16, "depth": 3, "heads": 2, "hidden": 10, "window": 4, "pretrained_side": 3}


def small_towers(profile: Profile = "eagle_release") -> dict[str, Tower]:
    """The published towers with small networks: CLIP of 3 x 3 patches, ConvNeXt 4 x 4, SAM and EVA-02 8 x 8, Pix2Struct 5 x 5."""
    towers = published_towers(profile)
    sizes = {"clip-448": 42 if profile == "eagle_release" else 56, "pix2struct-1024": 80}
    builders = {
        "clip-448": _small_clip, "convnext-1024": _small_convnext,
        "sam-1024": lambda: EagleSam(SamVisionEncoder(transformers.SamVisionConfig(**_SAM))),
        "det-1024": partial(Eva02Detection, **_EVA02), "pix2struct-1024": _small_pix2struct,
    }  # fmt: skip
    return {
        name: replace(
            tower,
            entry=replace(
                tower.entry, input_size=sizes.get(name, SHARED), shared_size=SHARED, grid=GRID, width=WIDTHS[name]
            ),
            build=lambda _entry, name=name: builders[name](),
        )
        for name, tower in towers.items()
    }


def _small_clip() -> nn.Module:
    norm = partial(nn.LayerNorm, eps=1e-5)
    sizes = {"img_size": 42, "patch_size": 14, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 0}
    return VisionTransformer(**sizes, pre_norm=True, act_layer="quick_gelu", norm_layer=norm)


def _small_convnext() -> nn.Module:
    network = timm.create_model("test_convnext", num_classes=0)
    network.head = nn.Identity()
    return network


def _small_pix2struct() -> nn.Module:
    return transformers.Pix2StructVisionModel(transformers.Pix2StructVisionConfig(**_PIX2STRUCT))


@dataclass
class PublishedEagle:
    """The parts that the released code puts together, each under the names it has there."""

    clip: Any
    convnext: Any
    sam: Any
    det: Any
    pix2struct: Any
    projector: nn.Module
    llm: Any

    def tower_weights(self, name: str) -> dict[str, Tensor]:
        """As the release saves them: with what it never reads, and the scale of a ConvNeXt block called its weight."""
        state = {f"vision_model.{key}": weight for key, weight in self.clip.state_dict().items()}
        if name == "convnext-1024":
            state = {key.replace(".gamma", ".weight"): weight for key, weight in self.convnext.state_dict().items()}
            state["head.fc.weight"] = torch.zeros(2, 64)
        if name == "sam-1024":
            state = self.sam.encoder.state_dict()
        if name == "det-1024":
            tables = {f"{where}.freqs_cos": torch.zeros(16, 8) for where in ("rope_win", "blocks.0.attn.rope")}
            state = {**self.det.state_dict(), **tables}
        return self.pix2struct.state_dict() if name == "pix2struct-1024" else state

    def weights(self, names: tuple[str, ...] = X5) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = dict(self.llm.state_dict())
        weights |= {f"model.mm_projector.{key}": weight for key, weight in self.projector.state_dict().items()}
        for index, name in enumerate(names):
            prefix = f"model.vision_tower.vision_towers.{index}.vision_tower."
            weights |= {prefix + key: weight for key, weight in self.tower_weights(name).items()}
        return weights

    def config(self, names: tuple[str, ...] = X5, **fields: Any) -> dict[str, Any]:
        joined = {
            "model_type": "eagle_llama", "mm_vision_tower": ";".join(names), "mm_projector_type": "mlp2x_gelu",
            "mm_hidden_size": sum(WIDTHS[name] for name in names), "mm_vision_select_layer": -2, "mm_patch_merge_type": "flat",
            "image_aspect_ratio": "pad", "use_mm_proj": True,
        }  # fmt: skip
        return {**self.llm.config.to_dict(), **joined, **fields}

    def write(self, folder: Path, names: tuple[str, ...] = X5, shards: int = 2, **fields: Any) -> None:
        """A folder of shards, as transformers saves one."""
        weights = {key: weight.clone().contiguous() for key, weight in self.weights(names).items()}
        files = [f"model-{number + 1:05}-of-{shards:05}.safetensors" for number in range(shards)]
        where = {key: files[number % shards] for number, key in enumerate(sorted(weights))}
        for file in files:
            save_file({key: weights[key] for key in weights if where[key] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
        (folder / "config.json").write_text(json.dumps(self.config(names, **fields)))

    def features(self, picture: Image.Image, names: tuple[str, ...] = X5, clip_side: int = 42) -> Tensor:
        """All towers' channels, [1, 16, sum of widths], from one picture."""
        shared = shared_tensor(picture)
        maps = {
            "clip-448": lambda: self._clip_map(_aligned(shared, clip_side)),
            "convnext-1024": lambda: self.convnext.stages(self.convnext.stem(shared)),
            "sam-1024": lambda: functional.pixel_unshuffle(self._sam_map(shared), 2),
            "det-1024": lambda: self.det(shared),
            "pix2struct-1024": lambda: self._pix2struct_map(shared),
        }
        return torch.cat([_aligned(maps[name](), GRID).flatten(2).transpose(1, 2) for name in names], dim=-1)

    def _clip_map(self, pixels: Tensor) -> Tensor:
        """Without its class token from the start, through every block, without the norm behind the last."""
        patches = self.clip.embeddings.patch_embedding(pixels)
        table = self.clip.embeddings.position_embedding.weight[1:].T.reshape(1, -1, 3, 3)
        side = patches.shape[2]
        if side != 3:
            table = functional.interpolate(table, (side, side), mode="bicubic", antialias=True)
        tokens = self.clip.pre_layrnorm((patches + table).flatten(2).transpose(1, 2))
        for layer in self.clip.encoder.layers:
            tokens = layer(tokens, attention_mask=None)
        return tokens.transpose(1, 2).reshape(1, -1, side, side)

    def _sam_map(self, pixels: Tensor) -> Tensor:
        cells = self.sam.encoder.patch_embed(pixels) + self.sam.encoder.pos_embed
        for layer in self.sam.encoder.layers:
            cells = layer(cells)
        neck = self.sam.encoder.neck
        projected = neck.conv1(cells.permute(0, 3, 1, 2))
        centred = projected - projected.mean(1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
        return neck.layer_norm1.weight[:, None, None] * scaled + neck.layer_norm1.bias[:, None, None]

    def _pix2struct_map(self, shared: Tensor) -> Tensor:
        processor = transformers.Pix2StructImageProcessor(is_vqa=False, max_patches=30)
        inputs = processor(images=(shared * STD[:, None, None] + MEAN[:, None, None]) * 255, return_tensors="pt")
        tokens = self.pix2struct(**inputs).last_hidden_state[:, :25]
        return tokens.transpose(1, 2).reshape(1, -1, 5, 5)

    def logits(self, ids: Tensor, features: Tensor) -> Tensor:
        """`ids: [1, text]` with one -200."""
        at = int((ids[0] == -200).nonzero())
        words = self.llm.get_input_embeddings()
        embedded = torch.cat([words(ids[:, :at]), self.projector(features), words(ids[:, at + 1 :])], dim=1)
        return self.llm(inputs_embeds=embedded).logits


def shared_tensor(picture: Image.Image) -> Tensor:
    """Centred in a square of CLIP's mean colour, brought to 128 pixels, normalised: [1, 3, 128, 128]."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), tuple(int(value * 255) for value in MEAN.tolist()))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    levels = torch.from_numpy(np.array(square.resize((SHARED, SHARED), Image.Resampling.BICUBIC)))
    return ((levels / 255 - MEAN) / STD).permute(2, 0, 1)[None]


def _aligned(maps: Tensor, side: int) -> Tensor:
    return functional.interpolate(maps, (side, side), mode="bilinear", align_corners=True)


def small_eagle(projector: nn.Module | None = None, width: int = sum(WIDTHS.values()), **llm: Any) -> PublishedEagle:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    clip = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes, image_size=42, patch_size=14))
    towers = small_towers()
    others = [towers[name].build(towers[name].entry) for name in X5[1:]]
    language: dict[str, Any] = {
        "vocab_size": 40,
        "hidden_size": HIDDEN,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
    }
    llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(**language, num_attention_heads=2, **llm))
    mlp = nn.Sequential(nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN))
    eagle = PublishedEagle(clip, *others, projector or mlp, llama)
    for part in (eagle.clip, *others, eagle.projector, llama):
        part.eval().requires_grad_(False)
        for name, parameter in part.named_parameters():
            spread = 0.1 if parameter.dim() > 1 else 0.2
            parameter.copy_(torch.randn_like(parameter) * spread + (parameter if "norm" in name else 0))
    return eagle
