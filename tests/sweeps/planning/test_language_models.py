"""What a language model refuses is known from its configuration, without its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from opabinia.sweeps.planning.bare import bare_stages
from opabinia.sweeps.planning.flops import decoder_shape
from opabinia.sweeps.planning.language_models import bare_language_model, narrow_language_model
from opabinia.sweeps.planning.trainable import trainable
from tests.sweeps.planning.runs import run_of
from tests.training.stages import stage

PACKED = stage(batching={"type": "packed", "tokens": 64})
SIZES = {"hidden_size": 2048, "num_hidden_layers": 3, "num_attention_heads": 16, "vocab_size": 50_000}


def configured(folder: Path, family: str, **settings: Any) -> str:
    """A folder that holds a configuration and nothing else."""
    library: Any = AutoConfig
    library.for_model(family, **{**SIZES, **settings}).save_pretrained(folder / family)
    return str(folder / family)


def test_a_language_model_is_as_large_as_its_configuration_says(tmp_path: Path) -> None:
    model = bare_language_model(configured(tmp_path, "llama", intermediate_size=5000, num_key_value_heads=4))
    shape = decoder_shape(model)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert (shape.layers, shape.width, shape.attention, shape.vocabulary) == (3, 2048, 2048, 50_000)
    # Queries and outputs, keys and values of a quarter of the heads, and the gated MLP.
    assert shape.matrices == 3 * (2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 5000)


def test_for_what_only_running_tells_it_is_made_narrow_with_all_its_layers(tmp_path: Path) -> None:
    narrow = narrow_language_model(configured(tmp_path, "qwen2", intermediate_size=5000, num_key_value_heads=2))
    assert narrow is not None
    assert decoder_shape(narrow).layers == 3
    assert sum(parameter.numel() for parameter in narrow.parameters()) < 200_000


def test_a_language_model_that_cannot_pack_leaves_out_packed_trials_only(tmp_path: Path) -> None:
    family = configured(tmp_path, "mamba", state_size=4)
    assert [one.stage.name for one in bare_stages(run_of(language_model=family))] == ["s"]
    with pytest.raises(ValueError, match=r"language_model: mamba has layers of linear_attention, which mix samples"):
        trainable([run_of(language_model=family, stages=(PACKED,))])


def test_a_language_model_whose_logits_are_scaled_is_refused(tmp_path: Path) -> None:
    family = configured(tmp_path, "granite", logits_scaling=8.0, intermediate_size=5000)
    with pytest.raises(ValueError, match=r"language_model: the logits of granite are not its head's alone"):
        list(bare_stages(run_of(language_model=family)))


def test_a_language_model_that_packs_is_taken(tmp_path: Path) -> None:
    family = configured(tmp_path, "llama", intermediate_size=5000)
    assert len(trainable([run_of(language_model=family, stages=(PACKED,))])[0]) == 1


def test_a_name_that_leads_nowhere_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^language_model: '[^\n]*nothing' has no configuration[^\n]*; correct the name$"
    ):
        bare_language_model(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As their publishers count them.
        ("lmsys/vicuna-7b-v1.5", 6_738_415_616),
        ("lmsys/vicuna-13b-v1.5", 13_015_864_320),
        ("meta-llama/Meta-Llama-3-8B-Instruct", 8_030_261_248),
        ("NousResearch/Nous-Hermes-2-Yi-34B", 34_388_917_248),
    ],
)
def test_those_of_published_studies_are_known_without_any_file(name: str, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in bare_language_model(name).parameters()) == parameters


def test_a_folder_of_that_name_goes_before_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: {**SIZES, "hidden_size": 512} for name in ("somebody/llama", "nobody/llama")}
    monkeypatch.setattr("opabinia.sweeps.planning.language_models.PUBLISHED_SHAPES", known)
    monkeypatch.chdir(tmp_path)
    configured(tmp_path / "somebody", "llama")
    assert decoder_shape(bare_language_model("somebody/llama")).width == SIZES["hidden_size"]
    assert decoder_shape(bare_language_model("nobody/llama")).width == 512
