"""A checkpoint gives the same model back, and a damaged one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from connectors.settings.sva import SvaSettings
from opabinia.data.records import Turn
from opabinia.models.answering import Prompt, load_answerer
from opabinia.models.checkpoint import load_checkpoint, save_checkpoint
from tests.models.small import small_model, tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(small_model(SvaSettings()), tokenizer(), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_round_trip_is_bit_identical(folder: Path) -> None:
    saved, loaded = small_model(SvaSettings()), load_checkpoint(folder)
    assert loaded.config == saved.config
    for (name, before), (other, after) in zip(saved.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(before, after)


def test_it_answers_with_its_tokenizer(folder: Path) -> None:
    answerer = load_answerer(folder)
    (answer,) = answerer.answer([Prompt((Turn("user", "how many is 2 plus 3 ?"),))], max_new_tokens=3)
    assert (answer.text, answer.finish_reason) == ("5", "stop")


def test_nothing_in_it_can_run_code(folder: Path) -> None:
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {".safetensors", ".json", ".jinja"}


def test_an_existing_folder_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(ValueError, match="exists"):
        save_checkpoint(small_model(SvaSettings()), tokenizer(), folder)


def edit(folder: Path, **changes: object) -> None:
    makeup = json.loads((folder / "opabinia.json").read_text())
    (folder / "opabinia.json").write_text(json.dumps({**makeup, **changes}))


def test_a_folder_without_its_makeup_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"opabinia\.json is missing"):
        load_checkpoint(tmp_path)


def test_another_format_is_refused(folder: Path) -> None:
    edit(folder, format=99)
    with pytest.raises(ValueError, match="format 99 is not 1 or 2"):
        load_checkpoint(folder)


def test_encoders_with_other_weights_are_refused(folder: Path) -> None:
    edit(folder, encoder_weights={"burgess/caption-vit": "0" * 16})
    with pytest.raises(ValueError, match="burgess/caption-vit has other weights than in training"):
        load_checkpoint(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    makeup = json.loads((folder / "opabinia.json").read_text())
    edit(folder, model={**makeup["model"], "connector": {"type": "mlp2x_gelu", "queries": 16}})
    with pytest.raises(ValueError, match="does not fit"):
        load_checkpoint(folder)
