"""Folders in the layout of the released Eagle models give the model and its encoders, and damaged ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from opabinia.encoders.loading import VisionEncoder
from opabinia.encoders.preprocessing import pixels_from_image
from opabinia.models.eagle.load import read_eagle
from opabinia.models.eagle.towers import published_towers
from tests.models.published_eagle import GRID, HIDDEN, WIDTHS, X4, X5, small_eagle, small_towers

PICTURE = Image.effect_noise((150, 100), 90).convert("RGB")
IDS = torch.tensor([[1, 5, -200, 9, 11]])


def _features(encoders: tuple[VisionEncoder, ...]) -> list[Tensor]:
    return [encoder(pixels_from_image(PICTURE, encoder.entry)[None]) for encoder in encoders]


@pytest.mark.parametrize("names", [X5, X4, ("det-1024", "convnext-1024")])
@torch.no_grad()
def test_features_and_logits_are_those_of_the_published_parts(names: tuple[str, ...], tmp_path: Path) -> None:
    eagle = small_eagle(width=sum(WIDTHS[name] for name in names))
    eagle.write(tmp_path, names)
    model, encoders = read_eagle(tmp_path, towers=small_towers())
    features = _features(encoders)
    expected = eagle.features(PICTURE, names)
    torch.testing.assert_close(torch.cat(features, dim=-1), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(IDS, features).logits, eagle.logits(IDS, expected), atol=1e-4, rtol=1e-4)
    assert model.config.encoders == tuple(encoder.entry.id for encoder in encoders)


@torch.no_grad()
def test_the_profile_of_the_paper_gives_clip_its_finer_grid(tmp_path: Path) -> None:
    eagle = small_eagle()
    eagle.write(tmp_path)
    _, encoders = read_eagle(tmp_path, "eagle_paper", small_towers("eagle_paper"))
    assert encoders[0].entry.native_grid == GRID
    expected = eagle.features(PICTURE, clip_side=56)
    torch.testing.assert_close(torch.cat(_features(encoders), dim=-1), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "projector", "connector"),
    [
        ("linear", nn.Linear(168, HIDDEN), "linear"),
        ("mlp1x_gelu", nn.Sequential(nn.Linear(168, HIDDEN)), "mlp1x_gelu"),
        ("mlp2x_gelu", None, "channel_concat"),
        (
            "mlp3x_gelu",
            nn.Sequential(
                nn.Linear(168, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN)
            ),
            "mlp3x_gelu",
        ),
    ],
)
@torch.no_grad()
def test_every_published_projector_is_a_connector(
    kind: str, projector: nn.Module | None, connector: str, tmp_path: Path
) -> None:
    eagle = small_eagle(projector)
    eagle.write(tmp_path, mm_projector_type=kind)
    model, _ = read_eagle(tmp_path, towers=small_towers())
    assert (model.config.connector.type, model.config.connector.queries) == (connector, GRID**2)
    features = torch.randn(1, GRID**2, 168)
    grids = list(features.split([*WIDTHS.values()], dim=-1))
    torch.testing.assert_close(model(IDS, grids).logits, eagle.logits(IDS, features), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_everything_keeps_the_type_of_its_weights(tmp_path: Path) -> None:
    eagle = small_eagle()
    eagle.write(tmp_path, shards=1)
    path = tmp_path / "model-00001-of-00001.safetensors"
    save_file({key: weight.bfloat16() for key, weight in load_file(path).items()}, path)
    model, encoders = read_eagle(tmp_path, towers=small_towers())
    logits = model(IDS, _features(encoders)).logits
    assert logits.dtype == torch.bfloat16
    expected = eagle.logits(IDS, eagle.features(PICTURE))
    assert torch.nn.functional.cosine_similarity(logits.float(), expected, dim=-1).min() > 0.99


@torch.no_grad()
def test_a_torch_file_and_other_names_of_a_block_s_scale_read_the_same(tmp_path: Path) -> None:
    eagle = small_eagle(tie_word_embeddings=True)
    weights = eagle.weights()
    convnext = "model.vision_tower.vision_towers.1.vision_tower.stages.2.blocks.0"
    weights[f"{convnext}.gamma"] = weights.pop(f"{convnext}.weight")
    del weights["lm_head.weight"]
    torch.save(weights, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(eagle.config()))
    model, encoders = read_eagle(tmp_path, towers=small_towers())
    expected = eagle.logits(IDS, eagle.features(PICTURE))
    torch.testing.assert_close(model(IDS, _features(encoders)).logits, expected, atol=1e-4, rtol=1e-4)


TOWER = "model.vision_tower.vision_towers."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.mm_projector.2.bias": None}, r"missing model\.mm_projector\.2\.bias"),
        ({"lm_head.weight": None}, r"missing lm_head\.weight"),
        (
            {f"{TOWER}0.vision_tower.vision_model.encoder.layers.1.self_attn.k_proj.bias": None},
            r"missing model\.vision_tower\.vision_towers\.0\.vision_tower\.vision_model\.encoder\.layers\.1\.self_attn\.k_proj\.bias",
        ),
        ({f"{TOWER}2.vision_tower.neck.conv2.weight": torch.zeros(1)}, r"unexpected .*\.2\.vision_tower\.neck\.conv2\.weight"),
        ({"model.image_newline": torch.zeros(HIDDEN)}, r"unexpected model\.image_newline"),
        ({f"{TOWER}3.vision_tower.pos_embed": torch.zeros(1, 5, 16)}, r"3\.vision_tower\.pos_embed has shape \[1, 5, 16\]"),
        ({"model.mm_projector.0.weight": torch.zeros(HIDDEN, 136)}, r"shape \[16, 136\], expected \[16, 168\]"),
        ({f"{TOWER}5.vision_tower.pos_embed": torch.zeros(1)}, r"names 5 towers, but the weights hold those numbered 0, 1, 2, 3, 4, 5"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(changes: dict[str, Tensor | None], message: str, tmp_path: Path) -> None:
    small_eagle().write(tmp_path, shards=1)
    path = tmp_path / "model-00001-of-00001.safetensors"
    weights = {**load_file(path), **changes}
    save_file({key: weight for key, weight in weights.items() if weight is not None}, path)
    with pytest.raises(ValueError, match=message):
        read_eagle(tmp_path, towers=small_towers())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mm_vision_tower": ";".join(X4)}, "names 4 towers, but the weights hold those numbered 0, 1, 2, 3, 4"),
        ({"mm_vision_tower": "clip-448;convnext-1024;det-1024;sam-1024;pix2struct-1024"}, r"missing .*\.2\.vision_tower\."),
        ({"mm_vision_tower": "clip-336;convnext-1024"}, "mm_vision_tower: unknown tower 'clip-336'; did you mean 'clip-448'"),
        ({"mm_hidden_size": 136}, r"mm_hidden_size is 136, but the towers of mm_vision_tower give 168 channels"),
        ({"mm_projector_type": "linear"}, r"missing model\.mm_projector\.weight"),
        ({"mm_projector_type": "identity"}, "mm_projector_type: 'identity' is not known here"),
        ({"mm_patch_merge_type": "spatial_unpad"}, "mm_patch_merge_type: 'spatial_unpad' .* only flat"),
        ({"image_aspect_ratio": "anyres"}, "image_aspect_ratio: 'anyres' .* only pad"),
        ({"model_type": "llava_llama"}, "model_type: 'llava_llama' is not of this family"),
        ({"mm_vision_tower": None}, r"config\.json: mm_vision_tower: input should be a valid string"),
    ],
)  # fmt: skip
def test_fields_that_contradict_the_weights_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    small_eagle().write(tmp_path, **fields)
    with pytest.raises(ValueError, match=message):
        read_eagle(tmp_path, towers=small_towers())


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    small_eagle().write(tmp_path)
    with pytest.raises(ValueError, match="profile: unknown profile 'eagle_relase'; did you mean 'eagle_release'"):
        read_eagle(tmp_path, "eagle_relase")  # type: ignore[arg-type]


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        read_eagle(tmp_path)


UNREAD = {"clip-448": 2 * 1024 + 2 * 1024}
"""Parameters of a published tower that its features do not depend on: of the class token and of the last norm."""


@pytest.mark.parametrize("name", X5)
def test_the_published_towers_hold_the_parameters_of_their_entries(name: str) -> None:
    tower = published_towers("eagle_release")[name]
    with torch.device("meta"):
        network = tower.build(tower.entry)
    places = tower.places(network)
    assert not list(network.buffers())
    assert sum(place.numel() for place in places.values()) == tower.entry.parameters + UNREAD.get(name, 0)


def test_clip_has_the_names_and_shapes_of_transformers() -> None:
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    tower = published_towers("eagle_release")["clip-448"]
    with torch.device("meta"):
        published = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes, image_size=336, patch_size=14))
        places = tower.places(tower.build(tower.entry))
    expected = {f"vision_model.{name}": weight.shape for name, weight in published.state_dict().items()}
    assert {name: place.shape for name, place in places.items()} == expected


def test_both_projectors_of_the_release_have_the_published_size() -> None:
    widths = {name: tower.entry.width for name, tower in published_towers("eagle_release").items()}
    assert sum(widths[name] for name in X5) == 7680
    assert sum(widths[name] for name in X4) == 6656
    assert {tower.entry.grid for tower in published_towers("eagle_paper").values()} == {32}
