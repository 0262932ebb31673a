"""Checkpoints in the published Cambrian-1 layout give the numbers of the published model, and damaged ones are refused.

The folders in cambrian_fixtures hold toy-sized random models and, in case.safetensors, what the published code answers for them
in float32 on a CPU.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from connectors.grids import resize_grid
from connectors.settings.linear import LinearSettings
from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sva import SvaSettings
from opabinia.models import load_cambrian, load_projector
from opabinia.models.cambrian.fields import read_fields
from opabinia.models.cambrian.write import write_cambrian
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.multimodal import MultimodalModel, on_host
from opabinia.models.places import place
from tests.models.small import random_features, small_model

FIXTURES = Path(__file__).parent / "cambrian_fixtures"
CASES = sorted(path.name for path in FIXTURES.iterdir())


def features_of(case: dict[str, Tensor]) -> list[Tensor]:
    return [case[name] for name in sorted(case) if name.startswith("feature_")]


def sizes_of(case: dict[str, Tensor]) -> list[tuple[int, int]]:
    return [(int(width), int(height)) for width, height in case["image_sizes"]]


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_logits_are_those_of_the_published_model(name: str) -> None:
    case = load_file(FIXTURES / name / "case.safetensors")
    out = load_cambrian(FIXTURES / name)(
        input_ids=case["input_ids"], features=features_of(case), image_sizes=sizes_of(case), labels=case["labels"]
    )
    kept = case["attention_mask"].bool()
    torch.testing.assert_close(out.logits[kept], case["logits"][kept], atol=1e-5, rtol=0)
    shifted = case["logits"][:, :-1].flatten(0, 1), case["expanded_labels"][:, 1:].flatten()
    torch.testing.assert_close(out.loss, torch.nn.functional.cross_entropy(*shifted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_the_sequence_is_put_together_as_published(name: str) -> None:
    case = load_file(FIXTURES / name / "case.safetensors")
    model = load_cambrian(FIXTURES / name)
    places = place(on_host(case["input_ids"], None, case["labels"], None), model.layout, sizes=sizes_of(case))
    embeddings, _ = model.embed(places, features_of(case))
    kept = case["attention_mask"].bool()
    assert torch.equal(places.samples > 0, kept)
    assert torch.equal(places.labels[kept], case["expanded_labels"][kept])
    torch.testing.assert_close(embeddings[kept], case["inputs_embeds"][kept])


@torch.no_grad()
def test_an_image_may_stand_anywhere_and_several_in_one_sample() -> None:
    """Each image's part of the text is seen from its own position, whatever stands around it."""
    case = load_file(FIXTURES / "sva_square" / "case.safetensors")
    model = load_cambrian(FIXTURES / "sva_square")
    features = features_of(case)
    both = torch.tensor([[7, -200, 9, 11, -200, 13]])
    out = model(both, features, image_sizes=[(8, 8), (8, 8)]).logits
    alone = model(both[:, :4], [grid[:1] for grid in features], image_sizes=[(8, 8)]).logits
    torch.testing.assert_close(out[:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-4)
    swapped = model(both, [grid.flip(0) for grid in features], image_sizes=[(8, 8), (8, 8)]).logits
    assert not torch.allclose(out, swapped, atol=1e-3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FIXTURES / "sva_square", tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def change_fields(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **fields}))


def change_weights(folder: Path, changes: dict[str, Tensor | None]) -> None:
    weights = {**load_file(folder / "model.safetensors"), **changes}
    save_file({key: weight for key, weight in weights.items() if weight is not None}, folder / "model.safetensors")


def split_into_shards(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, keys in shards.items():
        save_file({key: weights[key] for key in keys}, folder / shard)
    index = {"weight_map": {key: shard for shard, keys in shards.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def as_torch_file(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def weights_of(model: MultimodalModel) -> dict[str, Tensor]:
    return model.state_dict()


@pytest.mark.parametrize("repack", [split_into_shards, as_torch_file])
def test_shards_and_torch_files_read_the_same(folder: Path, repack: Any) -> None:
    before = weights_of(load_cambrian(folder))
    repack(folder)
    after = weights_of(load_cambrian(folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.image_newline": None}, r"missing model\.image_newline"),
        ({"model.mm_projector.0.bias": None}, r"missing model\.mm_projector\.0\.bias"),
        ({"model.odd": torch.zeros(1)}, "unexpected model.odd"),
        ({"model.vision_query": torch.zeros(2, 64)}, r"model.vision_query has shape \[2, 64\], expected \[1, 64\]"),
        ({"model.mm_projector_aux_1.0.weight": None}, "model.mm_projector_aux_1.0.weight missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, changes: dict[str, Tensor | None], message: str) -> None:
    change_weights(folder, changes)
    with pytest.raises(ValueError, match=message):
        load_cambrian(folder)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_query_group": 2}, "query_num_list: 1 entries, but num_query_group is 2"),
        ({"num_of_vision_sampler_layers": 3}, r"missing model\.vision_sampler_layers\.2"),
        ({"num_of_vision_sampler_layers": 1}, r"unexpected model\.vision_sampler_layers\.1"),
        ({"stride_of_vision_sampler_layers": 4}, "layer 4 is asked for, but the language model has 4"),
        ({"connector_depth": 1}, r"unexpected model\.vision_sampler_0\.layers\.1"),
        ({"mm_vision_tower_aux_token_len_list": [64]}, "1 entries for 2 towers"),
        ({"mm_vision_tower_aux_token_len_list": [64, 144]}, "cannot be cut into windows for 64 queries"),
        ({"mm_projector_type": "se_mlp"}, "mm_projector_type: 'se_mlp' is not known here"),
        ({"image_token_len": 60}, "60 tokens are no square grid"),
        ({"image_position": 2000}, "image_position: 2000 leaves no room for 72 visual tokens within .* 2048"),
        ({"mm_projector_type": "mlp2x_gelu"}, r"mlp2x_gelu joins grids of image_token_len 64 only, got \[64, 256\]"),
        ({"model_type": "llava_llama"}, "model_type: 'llava_llama' is not of this family"),
    ],
)
def test_fields_that_contradict_the_weights_are_refused(folder: Path, fields: dict[str, Any], message: str) -> None:
    change_fields(folder, **fields)
    with pytest.raises(ValueError, match=message):
        load_cambrian(folder)


@torch.no_grad()
def test_a_connector_alone_joins_a_language_model_from_elsewhere(folder: Path, tmp_path: Path) -> None:
    """As the first training stage leaves it: the folder's own language model, saved apart, gives the whole model again."""
    whole = load_cambrian(folder)
    whole.language_model.save_pretrained(tmp_path / "llm")  # type: ignore[operator]
    weights = load_file(folder / "model.safetensors")
    connector = {key: weight for key, weight in weights.items() if re.match(r"model\.(mm_|vision_|image_)", key)}
    torch.save(connector, folder / "mm_projector.bin")
    with pytest.raises(ValueError, match=r"language_model: .* holds a language model of its own; leave it out"):
        load_cambrian(folder, str(tmp_path / "llm"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"mm_projector\.bin holds a connector alone; name its language_model too"):
        load_cambrian(folder)
    joined = load_cambrian(folder, str(tmp_path / "llm"))
    assert all(torch.equal(joined.state_dict()[name], weight) for name, weight in whole.state_dict().items())


@pytest.mark.parametrize("kind", ["linear", "mlp1x_gelu", "mlp2x_gelu"])
@torch.no_grad()
def test_a_projector_of_llava_fills_a_model(tmp_path: Path, kind: str) -> None:
    """LLaVA-1.5: one encoder, its tokens through linear layers, GELU between them."""
    connector = LinearSettings(queries=16) if kind == "linear" else MlpSettings(type=kind, queries=16)
    model = small_model(connector)
    width = sum(grid.width for grid in model.grids)
    shapes = {"linear": [""], "mlp1x_gelu": ["0."], "mlp2x_gelu": ["0.", "2."]}[kind]
    file: dict[str, Tensor] = {}
    for number, inputs in zip(shapes, (width, 128), strict=False):
        file[f"model.mm_projector.{number}weight"] = torch.randn(128, inputs) / inputs**0.5
        file[f"model.mm_projector.{number}bias"] = torch.randn(128)
    torch.save(file, tmp_path / "mm_projector.bin")
    before = {name: weight.clone() for name, weight in model.language_model.state_dict().items()}
    load_projector(model, tmp_path / "mm_projector.bin")
    features = random_features(1)
    hidden = torch.cat([resize_grid(grid, 4) for grid in features], dim=-1)
    for layer, number in enumerate(shapes):
        hidden = torch.nn.functional.gelu(hidden) if layer else hidden
        hidden = hidden @ file[f"model.mm_projector.{number}weight"].T + file[f"model.mm_projector.{number}bias"]
    torch.testing.assert_close(model.connector(features).tokens, hidden)
    assert all(torch.equal(before[name], weight) for name, weight in model.language_model.state_dict().items())


def test_a_projector_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    model = small_model(MlpSettings(type="mlp2x_gelu", queries=16))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    file = {"model.mm_projector.0.weight": torch.zeros(128, 3), "model.mm_projector.0.bias": torch.zeros(128)}
    torch.save(file, tmp_path / "mm_projector.bin")
    with pytest.raises(ValueError, match=r"missing model\.mm_projector\.2\.weight.*0\.weight has shape \[128, 3\]"):
        load_projector(model, tmp_path / "mm_projector.bin")
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


class Surprise:
    """Asks to be made by calling something, as a harmful pickle would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("ran",))


def test_a_torch_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model.mm_projector.0.weight": Surprise()}, tmp_path / "mm_projector.bin")
    with pytest.raises(ValueError, match="cannot be read as weights alone"):
        load_projector(small_model(MlpSettings()), tmp_path / "mm_projector.bin")
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", CASES)
def test_what_was_read_is_written_back_bit_by_bit(name: str, tmp_path: Path) -> None:
    write_cambrian(load_cambrian(FIXTURES / name), None, tmp_path / "back", "# A card\n")
    first, second = (load_file(folder / "model.safetensors") for folder in (FIXTURES / name, tmp_path / "back"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) and first[key].dtype == second[key].dtype for key in first)
    fields, again = (read_fields(folder)[0] for folder in (FIXTURES / name, tmp_path / "back"))
    assert again.connector() == fields.connector()
    assert again.sides == fields.sides and again.mm_vision_tower_aux_list == fields.mm_vision_tower_aux_list
    assert load_cambrian(tmp_path / "back").config == load_cambrian(FIXTURES / name).config.model_copy(
        update={"language_model": str(tmp_path / "back")}
    )


@pytest.mark.parametrize(
    ("connector", "message"),
    [
        (SvaSettings(), "connector.heads: 4, but the layout has 16"),
        (
            RoutedSumSettings(),
            "connector.type: routed_sum has no place in this layout; it knows sva, mlpNx_gelu, linear",
        ),
        (MlpSettings(queries=4), r"connector.queries: 4, but the layout joins only grids of as many tokens; got \["),
    ],
)
def test_what_the_layout_cannot_say_is_refused(connector: ConnectorConfig, message: str, tmp_path: Path) -> None:
    model = small_model(connector)
    model.config = model.config.model_copy(update={"row_separator": True})
    with pytest.raises(ValueError, match=message):
        write_cambrian(model, None, tmp_path / "folder", "")
    assert not (tmp_path / "folder").exists()


def test_rows_without_separators_have_no_place_in_the_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row_separator: false"):
        write_cambrian(small_model(MlpSettings()), None, tmp_path / "folder", "")


def test_a_folder_without_config_or_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="the weights are missing"):
        load_cambrian(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        load_cambrian(folder)
