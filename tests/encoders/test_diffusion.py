"""Diffusion features, checked on a scaled-down pipeline with random weights against the U-Net run block by block."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from torch import Tensor

from opabinia.encoders import catalogue
from opabinia.encoders.backbones.diffusion import DiffusionFeatures
from opabinia.encoders.loading import load_encoder

WIDTHS = (8, 8, 16, 16)
PROMPT_WIDTH = 8


def _unet() -> Any:
    torch.manual_seed(0)
    sizes = {"block_out_channels": WIDTHS, "attention_head_dim": 2, "norm_num_groups": 4, "layers_per_block": 1}
    return diffusers.UNet2DConditionModel(sample_size=8, cross_attention_dim=PROMPT_WIDTH, **sizes).eval()


def _vae() -> Any:
    torch.manual_seed(1)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return diffusers.AutoencoderKL(block_out_channels=(4, 4, 8, 8), norm_num_groups=4, **blocks).eval()


def _scheduler() -> Any:
    return diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def _signal() -> float:
    """Share of the variance that 251 steps of the published schedule leave."""
    roots = [0.00085**0.5 + (0.012**0.5 - 0.00085**0.5) * step / 999 for step in range(251)]
    kept = 1.0
    for root in roots:
        kept *= 1 - root**2
    return kept


def _pixels(pictures: int) -> Tensor:
    return torch.rand(pictures, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def _prompt() -> Tensor:
    return torch.randn(1, 5, PROMPT_WIDTH, generator=torch.Generator().manual_seed(3))


def _upward_maps(unet: Any, noisy: Tensor, prompt: Tensor) -> list[Tensor]:
    """The U-Net's blocks called one after another, at step 250."""
    time = unet.time_embedding(unet.time_proj(torch.full((len(noisy),), 250)))
    hidden = unet.conv_in(noisy)
    kept: tuple[Tensor, ...] = (hidden,)
    for block in unet.down_blocks:
        words = {"encoder_hidden_states": prompt} if hasattr(block, "attentions") else {}
        hidden, more = block(hidden, temb=time, **words)
        kept += more
    hidden, maps = unet.mid_block(hidden, time, encoder_hidden_states=prompt), []
    for block in unet.up_blocks:
        words = {"encoder_hidden_states": prompt} if hasattr(block, "attentions") else {}
        count = len(block.resnets)
        hidden = block(hidden, res_hidden_states_tuple=kept[-count:], temb=time, **words)
        kept = kept[:-count]
        maps.append(hidden)
    return maps


@torch.no_grad()
def test_the_upward_blocks_see_the_picture_s_latents_under_the_noise_of_step_250() -> None:
    vae, unet = _vae(), _unet()
    moments = vae.quant_conv(vae.encoder(_pixels(2)))
    latents = moments[:, :4] * 0.18215
    noise = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = _upward_maps(
        unet, _scheduler().add_noise(latents, noise[None], torch.tensor(250)), _prompt().expand(2, -1, -1)
    )
    maps = DiffusionFeatures(vae, unet, _prompt(), _signal()).eval()(_pixels(2))
    assert [tuple(single.shape[1:]) for single in maps] == [(16, 2, 2), (16, 4, 4), (8, 8, 8), (8, 8, 8)]
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_picture_has_the_same_features_every_time_and_in_any_batch() -> None:
    network = DiffusionFeatures(_vae(), _unet(), _prompt(), _signal()).eval()
    torch.manual_seed(7)
    together, state = network(_pixels(2)), torch.get_rng_state()
    alone = network(_pixels(2)[1:])
    for several, single in zip(together, alone, strict=True):
        torch.testing.assert_close(several[1:], single, atol=1e-5, rtol=1e-5)
    assert torch.equal(state, torch.get_rng_state())


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline's folder, as published: a model a part, and a tokenizer that pads an empty prompt."""
    _vae().save_pretrained(tmp_path / "vae")
    _unet().save_pretrained(tmp_path / "unet")
    _scheduler().save_pretrained(tmp_path / "scheduler")
    torch.manual_seed(4)
    words = {"hidden_size": PROMPT_WIDTH, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = transformers.CLIPTextConfig(**words, vocab_size=4, max_position_embeddings=5, bos_token_id=1, eos_token_id=2)
    transformers.CLIPTextModel(text).save_pretrained(tmp_path / "text_encoder")
    vocabulary = {"!": 0, "<|startoftext|>": 1, "<|endoftext|>": 2, "a": 3}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="!", model_max_length=5)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def _entry(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    published = catalogue.CATALOGUE["cambrian/sd21-512"]
    entry = replace(published, weights=str(folder), input_size=64, grid=4, width=48)
    monkeypatch.setitem(catalogue.CATALOGUE, entry.id, entry)
    return entry.id


@torch.no_grad()
def test_a_pipeline_is_loaded_with_the_embedding_of_an_empty_prompt(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(_entry(pipeline, monkeypatch))
    text: Any = transformers.CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    prompt = text.eval()(torch.tensor([[1, 2, 0, 0, 0]])).last_hidden_state
    maps = DiffusionFeatures(_vae(), _unet(), prompt, _signal()).eval()(_pixels(2))
    sized = [torch.nn.functional.interpolate(single, (4, 4), mode="bilinear") for single in maps]
    torch.testing.assert_close(
        encoder(_pixels(2)), torch.cat(sized, 1).flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-4
    )


def test_a_part_with_weights_of_another_network_is_refused(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = pipeline / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes((pipeline / "vae" / "diffusion_pytorch_model.safetensors").read_bytes())
    with pytest.raises(
        ValueError,
        match=r"cambrian/sd21-512: weights .* cannot be loaded: unet: \d+ parameters are not in it, among them",
    ):
        load_encoder(_entry(pipeline, monkeypatch))


def test_without_diffusers_the_extra_is_named(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(
        ValueError, match=r"cannot be loaded: diffusers is not installed; pip install 'opabinia\[diffusion\]'"
    ):
        load_encoder(_entry(pipeline, monkeypatch))
