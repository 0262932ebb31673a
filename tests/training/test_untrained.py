"""Which weights a checkpoint need not hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from connectors.settings.sva import SvaSettings
from opabinia.encoders.loading import load_learning_encoder
from opabinia.models.learner import Learner
from opabinia.models.lora import add_adapters
from opabinia.models.lora_config import LoraSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState
from opabinia.training.optimisation.optimiser import build_optimiser
from opabinia.training.untrained import untrained_modules
from tests.models.small import ENCODERS, small_model
from tests.training.stages import stage

LANGUAGE_MODEL, ENCODER = "model.language_model", f"encoders.{ENCODERS[0]}"
CONNECTOR = stage(name="connector", trains=("connector",))
ENCODERS_TOO = stage(name="encoders", trains=("connector", "encoders"))
LLM_TOO = stage(name="llm", trains=("connector", "language_model"))
ALL = stage(name="all", trains=("connector", "encoders", "language_model"))


@pytest.fixture
def learner() -> Learner:
    return Learner(small_model(SvaSettings()), {ENCODERS[0]: load_learning_encoder(ENCODERS[0])})


def test_a_module_is_held_from_the_first_stage_that_trains_it(learner: Learner) -> None:
    found = untrained_modules(learner, [CONNECTOR, ENCODERS_TOO, ALL])
    assert [set(of_stage) for of_stage in found] == [{LANGUAGE_MODEL, ENCODER}, {LANGUAGE_MODEL}, set()]


def test_what_was_trained_once_is_held_by_the_stages_after_it(learner: Learner) -> None:
    assert untrained_modules(learner, [ALL, CONNECTOR]) == [{}, {}]


def test_a_language_model_with_adapters_that_learn_is_held() -> None:
    model = small_model(SvaSettings())
    add_adapters(model.language_model, LoraSettings(rank=2))
    assert untrained_modules(Learner(model), [CONNECTOR, LLM_TOO])[1] == {}


def test_nothing_learns_until_a_stage_is_made_ready(learner: Learner) -> None:
    untrained_modules(learner, [ALL])
    assert not any(parameter.requires_grad for parameter in learner.parameters())


def test_the_digests_are_those_of_the_weights(learner: Learner) -> None:
    before = untrained_modules(learner, [CONNECTOR])
    nn.init.zeros_(learner.model.language_model.get_input_embeddings().weight)
    after = untrained_modules(learner, [CONNECTOR])
    assert before[0][ENCODER] == after[0][ENCODER]
    assert before[0][LANGUAGE_MODEL] != after[0][LANGUAGE_MODEL]


def test_a_checkpoint_of_the_first_stage_is_as_small_as_what_learns_in_it(tmp_path: Path) -> None:
    model: MultimodalModel = small_model(SvaSettings())
    learner = Learner(model)
    untrained = untrained_modules(learner, [CONNECTOR])[0]
    optimiser = build_optimiser(model, CONNECTOR)
    with Checkpoints(str(tmp_path), CheckpointConfig()) as checkpoints:
        checkpoints.save(TrainingState(learner, optimiser.adamw, optimiser.schedule, untrained), 1, {})
    held = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    connector = sum(parameter.nbytes for parameter in model.connector.parameters())
    language_model = sum(parameter.nbytes for parameter in model.language_model.parameters())
    assert connector < held < connector + language_model
