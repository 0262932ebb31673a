"""Encoders learn with a model: alone before the language model, then together, and what they learnt is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from connectors.settings.sva import SvaSettings
from opabinia.data.records import Turn
from opabinia.encoders.loading import VisionEncoder, load_encoder, load_learning_encoder
from opabinia.models.answering import EncodedPictures, ModelAnswerer, Prompt, load_answerer
from opabinia.models.checkpoint import save_checkpoint
from opabinia.models.learner import Learner
from opabinia.training.checkpointing.checkpoints import Checkpoints
from opabinia.training.checkpointing.config import CheckpointConfig
from opabinia.training.checkpointing.state import TrainingState
from opabinia.training.inputs import TrainingInputs
from opabinia.training.optimisation.groups import model_parts, parameter_groups
from opabinia.training.placing import Placing
from opabinia.training.prealignment import models_alone
from opabinia.training.recipe.learning_encoders import learning_encoders
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.visual_features import RunFeatures, open_features
from tests.models.small import ENCODERS, small_model, tokenizer
from tests.training.pictured import paint, part_of, prompts_of
from tests.training.stages import stage

FIRST, SECOND = ENCODERS
steady = partial(stage, schedule="constant", warmup=0.0)
ALONE = steady(alone=FIRST, trains=("connector", "encoders"), lr=3e-4)
TOGETHER = steady(trains=("connector", f"encoders.{SECOND}"), lr=3e-4)
FROZEN = steady(trains=("connector",), lr=3e-4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return paint(tmp_path_factory.mktemp("pictures"))


@dataclass
class Run:
    """A run's own parts, as a worker holds them."""

    pictures: dict[str, str]
    stages: tuple[StageConfig, ...]

    def __post_init__(self) -> None:
        self.model = small_model(SvaSettings())
        # What a worker has drawn before must not matter to how a stage begins.
        torch.seed()
        learning = {name: load_learning_encoder(name) for name in learning_encoders(self.stages, ENCODERS)}
        self.learner = Learner(self.model, learning, models_alone(self.model, self.stages, seed=7))
        inputs = TrainingInputs(tokenizer=Path(), audits={}, rejected={}, benchmark_keys={}, features=None)
        self.features = open_features(inputs, ENCODERS, memory_mib=1, decoding="full", learning=self.learning)

    @property
    def learning(self) -> dict[str, VisionEncoder]:
        return self.learner.encoders_by_id

    def enter(self, number: int) -> Stage:
        return Stage(self, number)


class Stage:
    """A stage of it, ready to be trained."""

    def __init__(self, run: Run, number: int) -> None:
        self.learner = run.learner
        self.learner.enter(number)
        self.model, self.encoders = self.learner.active, self.learner.active_encoders
        self.features: RunFeatures = run.features.only(self.model.config.encoders)
        self.learner.requires_grad_(False)
        self.optimiser = AdamW(parameter_groups(model_parts(self.model, self.encoders), run.stages[number]))
        self.state = TrainingState(self.learner, self.optimiser, LambdaLR(self.optimiser, lambda _: 1.0))
        self.part = part_of(run.pictures, self.features.more)

    def loss(self) -> Tensor:
        return self.learner(*Placing(self.model.layout).laid_out(self.part, self.features.of_batch(self.part)))

    def train(self, steps: int) -> list[float]:
        self.learner.train()
        losses = list[float]()
        for _ in range(steps):
            loss = self.loss()
            loss.backward()
            self.optimiser.step()
            self.optimiser.zero_grad()
            losses.append(loss.item())
        return losses


def weights(modules: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.detach().clone() for key, value in one.state_dict().items()} for name, one in modules.items()
    }


def moved(before: dict[str, dict[str, Tensor]], modules: Mapping[str, nn.Module]) -> set[str]:
    after = weights(modules)
    return {name for name in modules if any(not value.equal(after[name][key]) for key, value in before[name].items())}


def parts_of(run: Run) -> dict[str, nn.Module]:
    return {"connector": run.model.connector, "language_model": run.model.language_model, **run.learning}


def test_an_encoder_learns_with_the_model_and_its_loss_falls(pictures: dict[str, str]) -> None:
    run = Run(pictures, (TOGETHER,))
    one, before = run.enter(0), weights(parts_of(run))
    losses = one.train(6)
    assert losses[-1] < 0.7 * losses[0]
    assert moved(before, parts_of(run)) == {"connector", SECOND}
    untouched = load_encoder(FIRST).state_dict()
    frozen = next(encoder for encoder in run.features.fresh.encoded.encoders if encoder.entry.id == FIRST)  # type: ignore[union-attr]
    assert all(value.equal(untouched[key]) for key, value in frozen.state_dict().items())


def test_all_that_learns_gets_a_gradient(pictures: dict[str, str]) -> None:
    """Hardware that copies a model waits for each of them."""
    one = Run(pictures, (TOGETHER,)).enter(0)
    one.loss().backward()
    learning = [parameter for parameter in one.learner.parameters() if parameter.requires_grad]
    assert {id(parameter) for group in one.optimiser.param_groups for parameter in group["params"]} == set(
        map(id, learning)
    )
    assert all(parameter.grad is not None for parameter in learning)
    assert any(not parameter.requires_grad for parameter in one.encoders[SECOND].parameters())


def test_in_a_stage_that_does_not_train_it_a_learning_encoder_rests(pictures: dict[str, str]) -> None:
    run = Run(pictures, (TOGETHER, FROZEN))
    run.enter(0).train(1)
    one, before = run.enter(1), weights(parts_of(run))
    one.train(1)
    assert moved(before, parts_of(run)) == {"connector"}
    assert not run.learning[SECOND].learns


def test_pre_alignment_teaches_an_encoder_and_a_projector_that_is_dropped(pictures: dict[str, str]) -> None:
    run = Run(pictures, (ALONE, steady(alone=SECOND, trains=("connector", "encoders"), lr=3e-4), TOGETHER))
    assert list(run.learning) == [FIRST, SECOND]
    one, before = run.enter(0), weights(parts_of(run))
    assert one.model.config.encoders == (FIRST,)
    assert list(one.encoders) == [FIRST]
    losses = one.train(6)
    assert losses[-1] < losses[0]
    assert moved(before, parts_of(run)) == {FIRST}
    before = weights(parts_of(run))
    run.enter(1).train(2)
    assert moved(before, parts_of(run)) == {SECOND}
    whole = run.enter(2)
    assert whole.model is run.model
    before = weights(parts_of(run))
    whole.train(2)
    assert moved(before, parts_of(run)) == {"connector", SECOND}


def test_a_projector_is_drawn_from_the_run_s_seed_and_its_stage_alone(pictures: dict[str, str]) -> None:
    model = small_model(SvaSettings())
    state = torch.get_rng_state()
    stages = (ALONE, FROZEN, ALONE)
    first, again, other = (models_alone(model, stages, seed) for seed in (0, 0, 1))
    assert torch.get_rng_state().equal(state)
    assert list(first) == [0, 2]
    drawn = [one.connector.state_dict() for one in (first[0], again[0], first[2], other[0])]
    assert all(value.equal(drawn[1][key]) for key, value in drawn[0].items())
    matrices = {key: value for key, value in drawn[0].items() if value.dim() > 1}
    assert matrices
    assert not any(value.equal(drawn[place][key]) for place in (2, 3) for key, value in matrices.items())


def test_a_stage_of_pre_alignment_goes_on_from_its_middle_bit_by_bit(pictures: dict[str, str], tmp_path: Path) -> None:
    stages = (ALONE, steady(alone=SECOND, trains=("connector", "encoders"), lr=3e-4))
    whole = Run(pictures, stages)
    whole.enter(0).train(2)
    losses = whole.enter(1).train(4)

    killed = Run(pictures, stages)
    killed.enter(0).train(2)
    stage_of_killed = killed.enter(1)
    first = stage_of_killed.train(2)
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        checkpoints.save(stage_of_killed.state, 4, {})
        checkpoints.wait()
        again = Run(pictures, stages)
        resumed, latest = again.enter(1), checkpoints.latest()
        assert latest is not None
        checkpoints.load(latest, resumed.state)
    assert first + resumed.train(2) == losses
    assert moved(weights(parts_of(whole)), parts_of(again)) == set()


ASKED = ("what colour is the circle ?", "how many shapes are there ?")


def asked(pictures: dict[str, str]) -> list[Prompt]:
    (prompt, *_) = prompts_of(pictures)
    return [Prompt((Turn("user", f"<image>\n{question}"),), prompt.image) for question in ASKED]


def test_what_was_learnt_comes_back_from_the_reported_folder_bit_by_bit(
    pictures: dict[str, str], tmp_path: Path
) -> None:
    run = Run(pictures, (TOGETHER,))
    run.enter(0).train(3)
    run.model.eval()
    save_checkpoint(run.model, tokenizer(), tmp_path / "folder", run.learning)
    answerer, prompts = load_answerer(tmp_path / "folder"), asked(pictures)
    given, again = run.features.of_prompts(prompts), answerer.features(prompts)
    assert all(one.equal(other) for one, other in zip(given, again, strict=True))
    live = ModelAnswerer(run.model, tokenizer(), run.features.of_prompts)
    assert answerer.answer(prompts, max_new_tokens=6) == live.answer(prompts, max_new_tokens=6)
    catalogue = EncodedPictures([load_encoder(name) for name in ENCODERS])(prompts)
    assert again[0].equal(catalogue[0])
    assert not torch.allclose(again[1], catalogue[1])


def test_one_encoder_before_the_language_model_is_a_checkpoint_too(pictures: dict[str, str], tmp_path: Path) -> None:
    run = Run(pictures, (ALONE,))
    one = run.enter(0)
    one.train(2)
    save_checkpoint(one.model.eval(), tokenizer(), tmp_path / "folder", one.encoders)
    answerer = load_answerer(tmp_path / "folder")
    assert answerer.model.config.encoders == (FIRST,)
    assert answerer.features(asked(pictures))[0].equal(one.features.of_prompts(asked(pictures))[0])


def test_an_encoder_that_learns_is_a_vision_encoder_of_float32(pictures: dict[str, str]) -> None:
    (encoder,) = Run(pictures, (TOGETHER,)).learning.values()
    assert isinstance(encoder, VisionEncoder)
    assert encoder.dtype == torch.float32
