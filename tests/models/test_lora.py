"""Adapters in a language model: what they add, what learns, and what is left when they are merged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor, nn

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.models.checkpoint import load_checkpoint, save_checkpoint
from opabinia.models.language_models import load_language_model
from opabinia.models.lora import (
    adapter_tensors,
    adapters,
    add_adapters,
    load_adapters,
    merge_adapters,
    merged,
    save_adapters,
)
from opabinia.models.lora_config import LoraSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.optimisation.optimiser import build_optimiser
from tests.models.small import ENCODERS, LANGUAGE_MODEL, random_features, small_model, tokenizer
from tests.training.stages import stage

SMALL = LoraSettings(rank=4, alpha=8, targets=("q_proj", "down_proj"))
IDS = torch.tensor([[1, 5, 9, 20, 33, 7]])


@pytest.fixture
def plain() -> Any:
    return load_language_model(LANGUAGE_MODEL).eval()


def adapted(settings: LoraSettings = SMALL, seed: int = 0) -> Any:
    """A language model with adapters that were trained to something."""
    torch.manual_seed(seed)
    llm = load_language_model(LANGUAGE_MODEL).eval()
    add_adapters(llm, settings)
    stir(llm)
    return llm


def stir(llm: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in llm.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)


def logits(llm: Any) -> Tensor:
    with torch.no_grad():
        return llm(IDS).logits


def see(model: MultimodalModel) -> Tensor:
    ids = torch.tensor([[1, IMAGE_TOKEN, 5, 9, 20]])
    with torch.no_grad():
        return model(ids, random_features(1)).logits


def test_new_adapters_change_nothing(plain: Any) -> None:
    before = logits(plain)
    add_adapters(plain, SMALL)
    assert logits(plain).equal(before)


def test_an_adapter_adds_the_product_of_its_matrices(plain: Any) -> None:
    llm = adapted()
    layer, before = llm.model.layers[2].mlp.down_proj, plain.model.layers[2].mlp.down_proj
    small, wide = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    inputs = torch.randn(3, 352)
    with torch.no_grad():
        torch.testing.assert_close(layer(inputs), inputs @ (before.weight + 8 / 4 * wide @ small).T)


def test_there_are_adapters_at_the_targets_of_every_layer_and_nowhere_else() -> None:
    names = {name.rpartition(".lora_A")[0] for name in adapter_tensors(adapted()) if "lora_A" in name}
    ends = ("self_attn.q_proj", "mlp.down_proj")
    assert names == {f"model.layers.{layer}.{end}" for layer in range(4) for end in ends}


def test_all_linear_is_every_layer_but_the_output() -> None:
    names = adapter_tensors(adapted(LoraSettings(rank=2)))
    assert len(names) == 4 * 7 * 2
    assert not [name for name in names if "lm_head" in name]


def test_only_adapters_learn_as_the_language_model() -> None:
    model = small_model(MlpSettings())
    add_adapters(model.language_model, SMALL)
    optimiser = build_optimiser(model, stage(trains=("language_model",)))
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {name for name, _ in model.named_parameters() if ".lora_" in name}
    assert sum(parameter.numel() for parameter in optimiser.parameters) == 4 * 4 * ((128 + 128) + (352 + 128))


def test_merged_it_is_a_plain_model_of_the_same_answers_and_afterwards_what_it_was(plain: Any) -> None:
    llm = adapted()
    before, weights = logits(llm), {name: weight.clone() for name, weight in llm.state_dict().items()}
    with merged(llm):
        assert llm.state_dict().keys() == plain.state_dict().keys()
        torch.testing.assert_close(logits(llm), before, rtol=1e-5, atol=1e-5)
    assert logits(llm).equal(before)
    assert llm.state_dict().keys() == weights.keys()
    assert all(weight.equal(weights[name]) for name, weight in llm.state_dict().items())
    assert not torch.allclose(before, logits(plain), atol=1e-2)


def test_a_failure_while_merged_leaves_the_adapters_in_place() -> None:
    llm = adapted()
    with pytest.raises(RuntimeError), merged(llm):
        raise RuntimeError
    assert adapters(llm) is not None


def test_merged_for_good_it_may_get_new_adapters() -> None:
    llm = adapted()
    before = logits(llm)
    merge_adapters(llm)
    assert adapters(llm) is None
    add_adapters(llm, SMALL)
    torch.testing.assert_close(logits(llm), before, rtol=1e-5, atol=1e-5)


def test_a_checkpoint_of_the_merged_model_needs_no_adapters(tmp_path: Path) -> None:
    model = small_model(SvaSettings()).eval()
    add_adapters(model.language_model, SMALL)
    stir(model)
    with merged(model.language_model):
        save_checkpoint(model, tokenizer(), tmp_path / "checkpoint")
    assert adapters(load_checkpoint(tmp_path / "checkpoint").language_model) is None
    again = load_checkpoint(tmp_path / "checkpoint")
    torch.testing.assert_close(see(again), see(model), rtol=1e-5, atol=1e-5)


def test_sva_inside_the_language_model_reads_again_beside_adapters() -> None:
    """Whether the adapters come before the model is assembled or after it."""
    torch.manual_seed(0)
    late, early = small_model(SvaSettings()).eval(), load_language_model(LANGUAGE_MODEL)
    add_adapters(late.language_model, SMALL)
    add_adapters(early, SMALL)
    config = ModelConfig(encoders=ENCODERS, connector=SvaSettings(), language_model=LANGUAGE_MODEL)
    first = MultimodalModel(config, early).eval()
    stir(late)
    first.load_state_dict(late.state_dict())
    seen = see(late)
    assert see(first).equal(seen)
    with torch.no_grad():
        for name, parameter in late.named_parameters():
            if name.startswith("connector.inner"):
                parameter.mul_(2)
    assert not see(late).equal(seen)


def test_a_step_moves_adapters_and_connector_and_nothing_else() -> None:
    model = small_model(SvaSettings())
    add_adapters(model.language_model, SMALL)
    stir(model)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser = build_optimiser(model, stage(trains=("connector", "language_model"), warmup_steps=0))
    ids = torch.tensor([[1, IMAGE_TOKEN, 5, 9, 20]])
    model(ids, random_features(1), labels=ids.masked_fill(ids == IMAGE_TOKEN, IGNORE)).loss.backward()
    optimiser.step()
    moved = {name for name, parameter in model.named_parameters() if not parameter.equal(before[name])}
    assert {name for name in before if ".lora_" in name} <= moved
    assert {name for name in moved if name.startswith("language_model.")} == {
        name for name in before if ".lora_" in name
    }
    assert any(name.startswith("connector.inner.") for name in moved)


def test_adapters_are_saved_alone_and_come_back(tmp_path: Path) -> None:
    llm = adapted()
    save_adapters(llm, SMALL, tmp_path / "adapters")
    again = adapted(seed=1)
    assert not logits(again).equal(logits(llm))
    load_adapters(again, tmp_path / "adapters")
    assert logits(again).equal(logits(llm))
    assert sum(t.numel() for t in load_file(tmp_path / "adapters/adapter_model.safetensors").values()) == 11_776


def test_peft_itself_reads_saved_adapters(tmp_path: Path, plain: Any) -> None:
    llm = adapted()
    save_adapters(llm, SMALL, tmp_path / "adapters")
    read = PeftModel.from_pretrained(plain, str(tmp_path / "adapters")).eval()
    assert logits(read).equal(logits(llm))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SMALL.model_copy(update={"rank": 2}), r"lora_A\.weight is \[4, \d+\], not \[2, \d+\]; give lora the rank"),
        (SMALL.model_copy(update={"targets": ("q_proj",)}), r"down_proj\.lora_A\.weight are not in the model"),
        (
            SMALL.model_copy(update={"targets": ("q_proj", "v_proj", "down_proj")}),
            r"v_proj\.lora_A\.weight are missing",
        ),
    ],
)
def test_adapters_of_other_settings_are_refused(settings: LoraSettings, line: str, tmp_path: Path) -> None:
    save_adapters(adapted(), SMALL, tmp_path / "adapters")
    with pytest.raises(ValueError, match=line):
        load_adapters(adapted(settings), tmp_path / "adapters")


@pytest.mark.parametrize("target", ["q_prj", "embed_tokens", "lm_head"])
def test_a_target_that_is_no_linear_layer_of_the_decoder_is_refused(target: str, plain: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"lora\.targets\.1: unknown linear layer '{target}'.*Known: down_proj, gate_proj"
    ):
        add_adapters(plain, LoraSettings(targets=("q_proj", target)))


def test_adapters_are_added_once() -> None:
    with pytest.raises(ValueError, match="lora: the language model has adapters already; merge them before others"):
        add_adapters(adapted(), SMALL)


def test_without_peft_the_extra_is_named(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"lora: needs the package peft; install the extra lora"):
        add_adapters(plain, SMALL)
    assert adapters(plain) is None


@pytest.mark.parametrize("settings", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"targets": ()}])
def test_settings_that_make_no_adapters_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        LoraSettings(**settings)
