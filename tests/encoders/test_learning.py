"""Gradients reach what features depend on in every library's networks, and nothing else changes when an encoder learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.models.sam.modeling_sam import SamVisionEncoder

from opabinia.encoders import catalogue
from opabinia.encoders.backbones import timm_models
from opabinia.encoders.backbones.eagle_sam import EagleSam
from opabinia.encoders.backbones.eva02_detection import Eva02Detection
from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.loading import VisionEncoder, load_encoder, load_learning_encoder
from tests.encoders.small_entries import VIT

_SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
_DINO = replace(VIT, library="transformers", model="Dinov2Model", width=32, patch=14, input_size=56)
_CONVNEXT = replace(
    VIT, model="test_convnext", weights="timm/test_convnext.r160_in1k", layer=(0, 1), post_norm=False, patch=8, grid=16,
    width=56, leading_tokens=0, interpolation="bilinear",
)  # fmt: skip
_PYTHON = replace(VIT, library="python", leading_tokens=0)


def _open_clip() -> nn.Module:
    from open_clip.transformer import VisionTransformer

    return VisionTransformer(56, 14, width=32, layers=3, heads=2, mlp_ratio=2.0, output_dim=16)


def _dino() -> nn.Module:
    return transformers.Dinov2Model(transformers.Dinov2Config(**_SMALL, image_size=56))


def _siglip() -> nn.Module:
    return transformers.SiglipVisionModel(
        transformers.SiglipVisionConfig(**_SMALL, intermediate_size=32, image_size=64)
    )


def _pix2struct() -> nn.Module:
    vision = transformers.Pix2StructVisionConfig(**_SMALL, d_ff=64, d_kv=16, initializer_range=0.02)
    return transformers.Pix2StructVisionModel(vision)


def _sam() -> nn.Module:
    config = transformers.SamVisionConfig(
        **_SMALL, image_size=64, mlp_dim=32, output_channels=8, window_size=2, global_attn_indexes=[1]
    )
    return EagleSam(SamVisionEncoder(config))


def _eva02() -> nn.Module:
    return Eva02Detection(16, 3, 2, 20, 16, window=2, pretrained_side=3, rotary_side=2)


CASES: dict[str, tuple[EncoderEntry, Callable[[], nn.Module]]] = {
    "timm": (VIT, partial(timm_models.build, VIT)),
    "timm, a block before the last": (replace(VIT, layer=-2), partial(timm_models.build, VIT)),
    "timm, stages": (_CONVNEXT, partial(timm_models.build, _CONVNEXT)),
    "open_clip": (replace(_DINO, library="open_clip", layer=-2), _open_clip),
    "transformers": (_DINO, _dino),
    "transformers, a block before the last": (replace(_DINO, layer=-2, post_norm=False), _dino),
    "transformers, with a pooler": (
        replace(VIT, library="transformers", model="SiglipVisionModel", width=32, leading_tokens=0), _siglip,
    ),
    "transformers, Pix2Struct": (
        replace(
            VIT, library="transformers", model="Pix2StructForConditionalGeneration", width=32, leading_tokens=0
        ),
        _pix2struct,
    ),
    "python, SAM": (replace(_PYTHON, width=8), _sam),
    "python, EVA-02": (replace(_PYTHON, width=16), _eva02),
}  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=list(CASES))
def encoder(request: pytest.FixtureRequest) -> VisionEncoder:
    entry, build = request.param
    torch.manual_seed(0)
    return VisionEncoder(entry, build())


def pixels(encoder: VisionEncoder) -> Tensor:
    side = encoder.entry.input_size
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def differentiated(encoder: VisionEncoder) -> set[str]:
    """Names of all parameters that get a gradient when all learn, as autograd has it."""
    encoder.requires_grad_()
    encoder(pixels(encoder)).square().sum().backward()
    found = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    encoder.requires_grad_(False).zero_grad()
    return found


def test_what_can_learn_is_what_the_features_depend_on(encoder: VisionEncoder) -> None:
    assert encoder.learnable == differentiated(encoder)
    assert 0 < len(encoder.learnable) <= len(list(encoder.parameters()))
    assert not encoder.learns


def test_a_step_along_the_gradient_moves_the_features_where_it_should(encoder: VisionEncoder) -> None:
    torch.manual_seed(0)
    target = torch.randn_like(encoder(pixels(encoder)))
    learning = [parameter for name, parameter in encoder.named_parameters() if name in encoder.learnable]
    for parameter in learning:
        parameter.requires_grad_()
    optimiser = torch.optim.SGD(learning, lr=1e-4)
    before = (encoder(pixels(encoder)) - target).square().sum()
    before.backward()
    optimiser.step()
    assert (encoder(pixels(encoder)) - target).square().sum() < before
    assert all(parameter.grad is not None for parameter in learning)


def test_a_frozen_encoder_keeps_no_graph(encoder: VisionEncoder) -> None:
    assert not encoder(pixels(encoder).requires_grad_()).requires_grad


def test_what_an_encoder_gives_does_not_depend_on_whether_it_learns(encoder: VisionEncoder) -> None:
    frozen = encoder(pixels(encoder))
    encoder.requires_grad_()
    learning = encoder(pixels(encoder))
    assert learning.requires_grad
    # open_clip's attention takes a faster way where no gradient is asked for, which rounds otherwise.
    torch.testing.assert_close(learning, frozen, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        assert not encoder(pixels(encoder)).requires_grad


def test_blocks_behind_the_one_that_is_read_cannot_learn() -> None:
    entry, build = CASES["timm, a block before the last"]
    encoder = VisionEncoder(entry, build())
    blocks = {int(name.split(".")[2]) for name in encoder.learnable if ".blocks." in name}
    assert blocks == {0, 1, 2, 3, 4}


def test_asking_what_can_learn_leaves_what_does() -> None:
    encoder = VisionEncoder(VIT, timm_models.build(VIT))
    chosen = next(encoder.parameters()).requires_grad_()
    assert len(encoder.learnable) > 1
    assert [parameter for parameter in encoder.parameters() if parameter.requires_grad] == [chosen]


class Noisy(nn.Module):
    """Gathers statistics and drops half of its channels, if it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.drop(self.norm(nn.functional.avg_pool2d(pixels, 16)))


def test_a_learning_encoder_drops_nothing_and_gathers_no_statistics() -> None:
    encoder = VisionEncoder(replace(_PYTHON, width=3), Noisy())
    before = encoder(pixels(encoder))
    around = nn.ModuleList([encoder]).train().requires_grad_()
    assert around.training
    torch.testing.assert_close(encoder(pixels(encoder)), before, rtol=0, atol=0)
    torch.testing.assert_close(encoder(pixels(encoder) + 5), encoder(pixels(encoder) + 5), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext"])
def test_of_the_shipped_encoders_all_learns_that_is_read(name: str) -> None:
    encoder = load_learning_encoder(name)
    assert encoder.learnable == differentiated(encoder)
    counted = sum(parameter.numel() for key, parameter in encoder.named_parameters() if key in encoder.learnable)
    assert counted == pytest.approx(encoder.entry.parameters, rel=1e-3)


def build_dino(weights: str) -> nn.Module:
    torch.manual_seed(0)
    return transformers.Dinov2Model(transformers.Dinov2Config(**_SMALL, image_size=56)).half()


def test_weights_of_half_precision_become_float32_where_they_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_dino("").save_pretrained(tmp_path)
    monkeypatch.setitem(catalogue.CATALOGUE, VIT.id, replace(_DINO, id=VIT.id, weights=str(tmp_path)))
    frozen, learning = load_encoder(VIT.id), load_learning_encoder(VIT.id)
    assert frozen.dtype == torch.float16
    assert {parameter.dtype for parameter in learning.parameters()} == {torch.float32}


def build_pool(weights: str) -> nn.Module:
    return nn.AvgPool2d(16)


def test_an_encoder_without_weights_cannot_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(_PYTHON, width=3, model=f"{__name__}:build_pool")
    monkeypatch.setitem(catalogue.CATALOGUE, entry.id, entry)
    with pytest.raises(
        ValueError, match=r"encoder small/vit: its features depend on no weights.* take it out of trains"
    ):
        load_learning_encoder(entry.id)
