"""SAM's image encoder behind Eagle's neck, checked on scaled-down random weights layer by layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from transformers.models.sam.modeling_sam import SamVisionEncoder

from opabinia.encoders import catalogue
from opabinia.encoders.backbones.eagle_sam import EagleSam
from opabinia.encoders.loading import load_encoder

SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 64, "window_size": 2,
    "global_attn_indexes": [2], "output_channels": 8,
}  # fmt: skip


def _config() -> Any:
    return transformers.SamVisionConfig(**SMALL)


def _pixels() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _expected(network: EagleSam, pixels: Tensor) -> Tensor:
    """Every block of SAM, then the projection of each cell and the norm over its channels."""
    encoder: Any = network.encoder
    cells = encoder.patch_embed(pixels) + encoder.pos_embed
    for layer in encoder.layers:
        cells = layer(cells)
    projected = torch.einsum("byxc,dc->byxd", cells, encoder.neck.conv1.weight[:, :, 0, 0])
    centred = projected - projected.mean(-1, keepdim=True)
    norm = encoder.neck.layer_norm1
    scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight + norm.bias
    return scaled.permute(0, 3, 1, 2)


@torch.no_grad()
def test_the_neck_projects_and_normalises_what_the_last_block_gives() -> None:
    network = EagleSam(SamVisionEncoder(_config())).eval()
    for parameter in network.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.3)
    torch.testing.assert_close(network(_pixels()), _expected(network, _pixels()), atol=1e-4, rtol=1e-4)


def test_the_neck_is_the_same_every_time_and_no_other_random_number_changes() -> None:
    necks, following = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        encoder = SamVisionEncoder(_config())
        before = torch.get_rng_state()
        necks.append(EagleSam(encoder).encoder.neck.state_dict())
        following.append(torch.equal(before, torch.get_rng_state()))
    assert all(following)
    assert list(necks[0]) == ["conv1.weight", "layer_norm1.weight", "layer_norm1.bias"]
    assert all(torch.equal(necks[0][name], necks[1][name]) for name in necks[0])
    assert necks[0]["conv1.weight"].std() > 0.01


@torch.no_grad()
def test_it_is_loaded_from_sam_s_own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = {"hidden_size": 8, "image_size": 64}
    mask = {"hidden_size": 8, "mlp_dim": 8, "num_attention_heads": 2, "iou_head_hidden_dim": 8}
    config = transformers.SamConfig(vision_config=SMALL, prompt_encoder_config=prompts, mask_decoder_config=mask)
    sam: Any = transformers.SamModel(config).eval()
    sam.save_pretrained(tmp_path)
    entry = replace(
        catalogue.CATALOGUE["eagle/sam-l-1024"], weights=str(tmp_path), input_size=64, grid=2, width=32, patch=16
    )
    monkeypatch.setitem(catalogue.CATALOGUE, entry.id, entry)
    encoder = load_encoder(entry.id)
    loaded: Any = encoder.backbone
    assert torch.equal(loaded.encoder.layers[1].attn.qkv.weight, sam.vision_encoder.layers[1].attn.qkv.weight)
    folded = torch.nn.functional.pixel_unshuffle(_expected(loaded, _pixels()), 2)
    torch.testing.assert_close(encoder(_pixels()), folded.flatten(2).transpose(1, 2), atol=1e-4, rtol=1e-4)
