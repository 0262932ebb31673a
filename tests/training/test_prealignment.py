"""Pre-alignment of a real encoder: it learns, and the language model and the other parts do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from connectors.settings.sva import SvaSettings
from opabinia.data.prompts import IGNORE, IMAGE_TOKEN
from opabinia.encoders.catalogue import CATALOGUE
from opabinia.encoders.loading import VisionEncoder, load_learning_encoder
from opabinia.models.lora_config import LoraSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.optimisation.optimiser import build_optimiser
from opabinia.training.prealignment import model_alone
from tests.models.small import ENCODERS, random_features, small_model
from tests.training.stages import stage

IDS = torch.tensor([[1, IMAGE_TOKEN, 5, 9, 20]])
LABELS = IDS.masked_fill(IDS == IMAGE_TOKEN, IGNORE)
SETTINGS = {"alone": ENCODERS[0], "trains": ("connector", "encoders"), "warmup_steps": 0}


@pytest.fixture
def model() -> MultimodalModel:
    return small_model(SvaSettings())


def features(encoder: VisionEncoder) -> Tensor:
    torch.manual_seed(0)
    return encoder(torch.rand(1, 3, encoder.entry.input_size, encoder.entry.input_size))


def test_the_encoder_and_its_projector_learn_and_the_language_model_does_not(model: MultimodalModel) -> None:
    encoder = load_learning_encoder(ENCODERS[0])
    alone = model_alone(model, ENCODERS[0])
    watched = nn.ModuleDict({"encoder": encoder, "projector": alone.connector, "model": model})
    before = {name: parameter.detach().clone() for name, parameter in watched.named_parameters()}
    optimiser = build_optimiser(alone, stage(**SETTINGS), {ENCODERS[0]: encoder})
    losses: list[float] = []
    for _ in range(5):
        loss = alone(IDS, [features(encoder)], labels=LABELS).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    moved = {name.split(".")[0] for name, parameter in watched.named_parameters() if not parameter.equal(before[name])}
    assert moved == {"encoder", "projector"}
    assert losses[-1] < losses[0]


def test_it_sees_one_encoder_with_as_many_tokens_as_the_whole_model(model: MultimodalModel) -> None:
    for place, name in enumerate(ENCODERS):
        alone = model_alone(model, name)
        assert alone.connector.queries == model.connector.queries
        assert alone(IDS, [random_features(1)[place]]).logits.shape == (1, 4 + alone.connector.queries, 111)
        assert alone.grids[0].width == CATALOGUE[name].width


def test_layers_that_the_whole_model_has_inside_the_language_model_stay_out_of_it(model: MultimodalModel) -> None:
    alone = model_alone(model, ENCODERS[0])
    one = [random_features(1)[0]]
    with torch.no_grad():
        before = alone(IDS, one).logits
        for parameter in model.connector.parameters():
            parameter.add_(1.0)
        assert alone(IDS, one).logits.equal(before)


def test_its_projector_has_the_precision_of_the_whole_models(model: MultimodalModel) -> None:
    alone = model_alone(model.bfloat16(), ENCODERS[0])
    assert {parameter.dtype for parameter in alone.connector.parameters()} == {torch.bfloat16}


def test_an_encoder_that_the_model_has_not_is_refused(model: MultimodalModel) -> None:
    with pytest.raises(
        ValueError, match=r"alone: burgess/mim-vit is not among burgess/caption-vit, burgess/dense-convnext"
    ):
        model_alone(model, "burgess/mim-vit")


def test_a_checkpoint_of_it_says_that_adapters_trained_in_the_language_model_s_place(model: MultimodalModel) -> None:
    model.config = model.config.model_copy(update={"lora": LoraSettings()})
    assert model_alone(model, ENCODERS[0]).config.lora == LoraSettings()
