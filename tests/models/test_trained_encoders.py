"""A checkpoint folder carries the encoders that were trained with its model, and nothing stands for them by mistake."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from connectors.settings.sva import SvaSettings
from jobs import export_checkpoint
from opabinia.encoders import catalogue
from opabinia.encoders.loading import VisionEncoder, load_encoder, load_learning_encoder
from opabinia.models.checkpoint import load_checkpoint, save_checkpoint
from opabinia.models.encoder_weights import load_trained_encoder, save_trained_encoders
from opabinia.models.opening import open_checkpoint
from tests.encoders.small_entries import VIT
from tests.models.small import ENCODERS, small_model, tokenizer

FROZEN, TRAINED = ENCODERS


@pytest.fixture(scope="module")
def trained() -> VisionEncoder:
    encoder = load_learning_encoder(TRAINED)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1.01)
    return encoder


@pytest.fixture
def folder(trained: VisionEncoder, tmp_path: Path) -> Path:
    save_checkpoint(small_model(SvaSettings()), tokenizer(), tmp_path / "folder", {TRAINED: trained})
    return tmp_path / "folder"


def makeup(folder: Path) -> dict[str, object]:
    return json.loads((folder / "opabinia.json").read_text())


def features(encoder: VisionEncoder) -> Tensor:
    side = encoder.entry.input_size
    with torch.no_grad():
        return encoder(torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)))


def test_the_trained_come_from_the_folder_and_the_others_from_the_catalogue(
    folder: Path, trained: VisionEncoder
) -> None:
    encoders = open_checkpoint(folder).load_encoders()
    assert [encoder.entry.id for encoder in encoders] == list(ENCODERS)
    assert not any(encoder.learns for encoder in encoders)
    assert features(encoders[0]).equal(features(load_encoder(FROZEN)))
    assert features(encoders[1]).equal(features(trained))
    assert not torch.allclose(features(trained), features(load_encoder(TRAINED)))


def test_the_folder_says_which_and_holds_them_as_safetensors_only(folder: Path, trained: VisionEncoder) -> None:
    said = makeup(folder)
    assert list(said["trained_encoders"]) == [TRAINED]  # type: ignore[call-overload]
    assert list(said["encoder_weights"]) == [FROZEN]  # type: ignore[call-overload]
    held = load_file(folder / "encoders" / f"{TRAINED}.safetensors")
    assert held.keys() == trained.backbone.state_dict().keys()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".jinja"}


def test_versions_that_would_not_look_for_them_refuse_the_folder(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(small_model(SvaSettings()), tokenizer(), tmp_path / "without")
    assert (makeup(folder)["format"], makeup(tmp_path / "without")["format"]) == (2, 1)
    assert "trained_encoders" not in makeup(tmp_path / "without")
    assert open_checkpoint(tmp_path / "without").encoders is None


def test_what_the_catalogue_s_weights_are_matters_for_frozen_ones_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"weights": {TRAINED: "0" * 16}}
    monkeypatch.setattr(
        "opabinia.models.encoder_weights.weights_digest", lambda entry: other["weights"].get(entry.id, "1" * 16)
    )
    with pytest.raises(ValueError, match=f"encoder {FROZEN} has other weights than in training"):
        load_checkpoint(folder)
    (folder / "opabinia.json").write_text(json.dumps({**makeup(folder), "encoder_weights": {FROZEN: "1" * 16}}))
    assert load_checkpoint(folder).config.encoders == ENCODERS


def test_a_trained_encoder_that_would_be_read_in_another_way_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = catalogue.CATALOGUE[TRAINED]
    monkeypatch.setitem(catalogue.CATALOGUE, TRAINED, replace(entry, mean=(0.4, 0.4, 0.4)))
    with pytest.raises(ValueError, match=f"encoder {TRAINED} is read in another way than in training; use the version"):
        open_checkpoint(folder)


def test_weights_that_are_not_there_or_do_not_fit_are_refused_in_one_line(folder: Path) -> None:
    file = folder / "encoders" / f"{TRAINED}.safetensors"
    held = load_file(file)
    save_file({name: weight for name, weight in held.items() if "stages.1" not in name}, file)
    for damage in (lambda: None, lambda: file.write_bytes(b"nonsense"), file.unlink):
        damage()
        with pytest.raises(ValueError, match=f"{TRAINED}.safetensors: does not fit encoder {TRAINED}: ") as caught:
            open_checkpoint(folder)
        assert "\n" not in str(caught.value)


def test_what_was_learnt_keeps_its_precision_though_the_catalogue_s_weights_have_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=56)
    transformers.Dinov2Model(config).half().save_pretrained(tmp_path / "half")
    entry = replace(
        VIT, library="transformers", model="Dinov2Model", width=32, patch=14, input_size=56, weights=f"{tmp_path}/half"
    )
    monkeypatch.setitem(catalogue.CATALOGUE, entry.id, entry)
    learnt = load_learning_encoder(entry.id)
    with torch.no_grad():
        for parameter in learnt.parameters():
            parameter.add_(1e-5)
    save_trained_encoders({entry.id: learnt}, tmp_path)
    again = load_trained_encoder(entry.id, tmp_path).state_dict()
    assert all(value.equal(again[name]) and value.dtype == torch.float32 for name, value in learnt.state_dict().items())


def test_an_encoder_that_the_model_has_not_is_refused(trained: VisionEncoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encoders: burgess/mim-vit is not one of the model's; leave it out"):
        save_checkpoint(small_model(SvaSettings()), tokenizer(), tmp_path / "no", {"burgess/mim-vit": trained})
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("layout", ["transformers", "cambrian"])
def test_layouts_that_have_no_place_for_them_are_not_written(
    folder: Path, layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        export_checkpoint.main([f"--checkpoint={folder}", f"--layout={layout}", f"--folder={tmp_path / 'out'}"])
    assert "holds encoders that were trained with it, and no layout written here has them" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
