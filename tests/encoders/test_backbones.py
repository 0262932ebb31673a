"""Every library's adapter reads what its entry says, checked on scaled-down networks with random weights, block by block."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file, save_model
from torch import Tensor

from opabinia.encoders import catalogue
from opabinia.encoders.backbones import clip_models, hf, own, timm_models
from opabinia.encoders.catalogue import EncoderEntry
from opabinia.encoders.loading import load_encoder
from tests.encoders.small_entries import VIT

SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
DINO = replace(
    VIT, id="small/dino", library="transformers", model="Dinov2Model", width=32, patch=14, input_size=56, grid=4
)


def _pixels(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def _grid(tokens: Tensor, leading: int) -> Tensor:
    rest = tokens[:, leading:].transpose(1, 2)
    side = round(rest.shape[2] ** 0.5)
    return rest.reshape(*rest.shape[:2], side, side)


@pytest.mark.parametrize(
    ("layer", "blocks", "post_norm"), [(-1, 6, True), (-1, 6, False), (-2, 5, False), (2, 3, True)]
)
def test_timm_reads_the_stated_block_with_or_without_the_final_norm(layer: int, blocks: int, post_norm: bool) -> None:
    entry = replace(VIT, layer=layer, post_norm=post_norm)
    network: Any = timm_models.build(entry).eval()
    pixels = _pixels(64)
    tokens = network.patch_embed(pixels).flatten(1, 2)
    tokens = torch.cat([network.cls_token.expand(2, -1, -1), tokens], dim=1) + network.pos_embed
    for block in network.blocks[:blocks]:
        tokens = block(tokens)
    expected = _grid(network.norm(tokens) if post_norm else tokens, 1)
    torch.testing.assert_close(timm_models.maps(network, pixels, entry), [expected])


def test_a_class_token_that_is_taken_away_first_reaches_no_block() -> None:
    entry = replace(VIT, classless=True, post_norm=False)
    torch.manual_seed(0)
    whole: Any = timm_models.build(replace(entry, classless=False)).eval()
    torch.manual_seed(0)
    network: Any = timm_models.build(entry).eval()
    tokens = whole.patch_embed(_pixels(64)).flatten(1, 2) + whole.pos_embed[:, 1:]
    for block in whole.blocks:
        tokens = block(tokens)
    torch.testing.assert_close(timm_models.maps(network, _pixels(64), entry), [_grid(tokens, 0)])


def test_register_tokens_are_dropped_too() -> None:
    entry = replace(VIT, model="test_vit2", post_norm=False)
    network: Any = timm_models.build(entry).eval()
    assert network.num_prefix_tokens == 1
    kept = network.forward_features(_pixels(64))
    torch.testing.assert_close(network.norm(_tokens_of(timm_models.maps(network, _pixels(64), entry)[0])), kept[:, 1:])


def _tokens_of(grid: Tensor) -> Tensor:
    return grid.flatten(2).transpose(1, 2)


def test_the_stages_of_a_convolutional_network_come_raw() -> None:
    entry = replace(
        VIT, model="test_convnext", weights="timm/test_convnext.r160_in1k", layer=(0, 1, 2, 3), post_norm=False
    )
    network: Any = timm_models.build(entry).eval()
    expected, stage_input = [], network.stem(_pixels(64))
    for stage in network.stages:
        stage_input = stage(stage_input)
        expected.append(stage_input)
    maps = timm_models.maps(network, _pixels(64), entry)
    assert [single.shape[2] for single in maps] == [16, 8, 4, 2]
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize(("layer", "post_norm"), [(-1, True), (-2, False), (0, False)])
def test_open_clip_reads_the_stated_block(layer: int, post_norm: bool) -> None:
    from open_clip.transformer import VisionTransformer

    network: Any = VisionTransformer(56, 14, width=32, layers=3, heads=2, mlp_ratio=2.0, output_dim=16).eval()
    entry = replace(DINO, library="open_clip", layer=layer, post_norm=post_norm)
    tokens = network.conv1(_pixels(56)).flatten(2).transpose(1, 2)
    tokens = torch.cat([network.class_embedding.expand(2, 1, -1), tokens], dim=1) + network.positional_embedding
    tokens = network.ln_pre(tokens)
    for block in network.transformer.resblocks[: range(3)[layer] + 1]:
        tokens = block(tokens)
    expected = _grid(network.ln_post(tokens) if post_norm else tokens, 1)
    torch.testing.assert_close(clip_models.maps(network, _pixels(56), entry), [expected])


@pytest.mark.parametrize(("layer", "post_norm"), [(-1, True), (-1, False), (-2, False), (0, False)])
def test_transformers_reads_the_stated_block(layer: int, post_norm: bool) -> None:
    network: Any = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=56)).eval()
    entry = replace(DINO, layer=layer, post_norm=post_norm)
    tokens = network.embeddings(_pixels(56))
    for block in network.encoder.layer[: range(3)[layer] + 1]:
        tokens = block(tokens)
    expected = _grid(network.layernorm(tokens) if post_norm else tokens, 1)
    torch.testing.assert_close(hf.maps(network, _pixels(56), entry), [expected])


def test_transformers_cannot_normalise_a_block_before_the_last() -> None:
    network = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=56))
    with pytest.raises(ValueError, match=r"small/dino: post_norm with layer -2; .* state post_norm=False"):
        hf.maps(network, _pixels(56), replace(DINO, layer=-2))


def test_pix2struct_patches_are_laid_out_as_its_own_processor_does() -> None:
    from transformers.image_utils import SizeDict

    processor = transformers.Pix2StructImageProcessor()
    expected = processor.extract_flattened_patches(_pixels(64), 16, SizeDict(height=16, width=16))
    given: list[dict[str, Tensor]] = []

    class Recorder(torch.nn.Module):
        def forward(self, **inputs: Tensor) -> Any:
            given.append(inputs)
            return transformers.modeling_outputs.BaseModelOutput(last_hidden_state=torch.zeros(2, 16, 8))

    hf.maps(Recorder(), _pixels(64), replace(VIT, model="Pix2StructForConditionalGeneration", leading_tokens=0))
    torch.testing.assert_close(given[0]["flattened_patches"], expected, atol=1e-5, rtol=0)
    assert given[0]["attention_mask"].all()


def test_part_of_a_model_is_the_encoder() -> None:
    model = transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**SMALL, image_size=56))
    assert hf.part_of(model, replace(DINO, part="dinov2")) is model.dinov2


def _small_midas_beit() -> Any:
    beit = transformers.BeitConfig(**SMALL, intermediate_size=64, image_size=64, reshape_hidden_states=False)
    beit.out_features = ["stem", "stage1", "stage2", "stage3"]
    necks = {"neck_hidden_sizes": [8] * 4, "fusion_hidden_size": 8}
    return transformers.DPTForDepthEstimation(transformers.DPTConfig(backbone_config=beit, hidden_size=32, **necks))


def _small_pix2struct() -> Any:
    vision = {**SMALL, "d_ff": 64, "d_kv": 16}
    text = {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "d_kv": 16, "d_ff": 64, "vocab_size": 40}
    return transformers.Pix2StructForConditionalGeneration(
        transformers.Pix2StructConfig(vision_config=vision, text_config=text)
    )


@pytest.mark.parametrize(
    ("id", "build"), [("cambrian/midas-beit-l-512", _small_midas_beit), ("eagle/pix2struct-l-720", _small_pix2struct)]
)
def test_the_encoder_of_a_larger_model_is_loaded_from_it(id: str, build: Any, tmp_path: Path) -> None:
    entry, model = catalogue.CATALOGUE[id], build()
    # Saved in the key layout of the published checkpoints, which transformers has since renamed in memory.
    model.save_pretrained(tmp_path)
    loaded = hf.load(replace(entry, weights=str(tmp_path))).state_dict()
    original = getattr(model, entry.part).state_dict()
    assert loaded.keys() == original.keys()
    assert all(torch.equal(loaded[name], original[name]) for name in original)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=56)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"small/dino: .* cannot be loaded: \d+ parameters are not in it, among them"):
        _reader(monkeypatch, replace(DINO, weights=str(tmp_path)))


def _reader(monkeypatch: pytest.MonkeyPatch, entry: EncoderEntry) -> Any:
    monkeypatch.setitem(catalogue.CATALOGUE, entry.id, entry)
    return load_encoder(entry.id)


def test_transformers_loads_the_class_that_the_entry_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=56)).eval()
    network.save_pretrained(tmp_path)
    encoder = _reader(monkeypatch, replace(DINO, weights=str(tmp_path)))
    expected = network(pixel_values=_pixels(56)).last_hidden_state[:, 1:]
    torch.testing.assert_close(encoder(_pixels(56)), expected)


@pytest.mark.parametrize("weights", ["timm/test_vit.r160_in1k", "someone/their-vit"])
def test_timm_loads_from_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    entry = replace(VIT, weights=weights, model="test_vit.r160_in1k", input_size=160, grid=10)
    network = timm_models.build(entry).eval()
    _fill_cache(tmp_path, monkeypatch, weights, {f"{k}": v for k, v in network.state_dict().items()})
    # At 64 pixels the position table is resized while loading, so that only the size it came in can be compared.
    expected = _tokens_of(timm_models.maps(network, _pixels(160), entry)[0])
    torch.testing.assert_close(_reader(monkeypatch, entry)(_pixels(160)), expected)
    smaller = _reader(monkeypatch, replace(entry, input_size=64, grid=4))
    assert smaller.backbone.pos_embed.shape == (1, 17, 64)


def _fill_cache(folder: Path, monkeypatch: pytest.MonkeyPatch, repository: str, state: dict[str, Tensor]) -> None:
    cached = folder / f"models--{repository.replace('/', '--')}"
    (cached / "snapshots" / "abc").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, cached / "snapshots/abc/model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_open_clip_loads_a_checkpoint_of_the_stated_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    vision = {"image_size": 56, "layers": 3, "width": 64, "patch_size": 14, "head_width": 32}
    text = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1}
    (tmp_path / "small-clip.json").write_text(json.dumps({"embed_dim": 8, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(tmp_path / "small-clip.json")
    entry = replace(DINO, library="open_clip", model="small-clip", width=64, weights="someone/small-clip")
    whole = open_clip.create_model("small-clip")
    save_model(whole, str(tmp_path / "weights.safetensors"))
    monkeypatch.setattr(
        "open_clip.pretrained.download_pretrained_from_hf", lambda repository: f"{tmp_path}/weights.safetensors"
    )
    expected = _tokens_of(clip_models.maps(whole.visual.eval(), _pixels(56), entry)[0])
    torch.testing.assert_close(_reader(monkeypatch, entry)(_pixels(56)), expected)


class Halver(torch.nn.Module):
    """Somebody's own network: average colours of squares of 16 pixels."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(pixels, 16)


def build_halver(weights: str) -> Halver:
    assert weights == "weights.bin"
    return Halver()


def test_a_function_of_one_s_own_builds_what_no_library_has(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(
        VIT, library="python", model=f"{__name__}:build_halver", weights="weights.bin", width=3, leading_tokens=0
    )
    features = _reader(monkeypatch, entry)(_pixels(64))
    torch.testing.assert_close(features[:, 5], _pixels(64)[:, :, 16:32, 16:32].mean((2, 3)))


def test_a_function_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="'nowhere:build' is not a module:function that can be imported"):
        own.load(replace(VIT, library="python", model="nowhere:build"))


def test_weights_that_cannot_be_had_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill_cache(tmp_path, monkeypatch, "someone/else", {})
    for entry in (VIT, replace(DINO, weights="nobody/dino")):
        with pytest.raises(ValueError, match=rf"encoder {entry.id}: weights {entry.weights} cannot be loaded: \S"):
            _reader(monkeypatch, entry)
