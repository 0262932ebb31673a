"""Vision-language pre-alignment: one encoder before the language model, with a projector of its own (Shi et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from connectors.settings.mlp import MlpSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.training.recipe.stages import StageConfig, stage_seed


def models_alone(model: MultimodalModel, stages: Sequence[StageConfig], seed: int) -> dict[int, MultimodalModel]:
    """What the stages of pre-alignment train in place of a run's `model`, by the stage's number.

    Each begins the same on all workers and in every attempt at the run, as `seed`, the run's, and its number decide; made before
    the run starts, so that hardware can shard all that a run trains as one. Raises ValueError like `model_alone`.
    """
    return {
        number: model_alone(model, stage.alone, stage_seed(seed, number))
        for number, stage in enumerate(stages)
        if stage.alone is not None
    }


def model_alone(model: MultimodalModel, encoder: str, seed: int = 0) -> MultimodalModel:
    """The same language model behind a new two-layer MLP that sees one of the model's encoders, given by its id.

    It gives a picture as many visual tokens as `model`'s connector was asked for, and lies where the language model does. What it
    teaches the encoder stays; the projector is dropped with it, as the model's own connector is trained after it. seed: from which
    its weights are drawn, whatever else was drawn before. Raises ValueError for an encoder that the model has not.
    """
    if encoder not in model.config.encoders:
        raise ValueError(f"alone: {encoder} is not among {', '.join(model.config.encoders)}; name one of these")
    place = model.config.encoders.index(encoder)
    config = ModelConfig(
        encoders=(encoder,),
        connector=MlpSettings(queries=model.config.connector.queries),
        language_model=model.config.language_model,
        lora=model.config.lora,
    )
    with torch.random.fork_rng(devices=[]):
        # The generator of the CPU alone: torch.manual_seed would also set those of devices, which are not put back.
        torch.default_generator.manual_seed(seed)
        alone = MultimodalModel(config, model.language_model, [model.grids[place]])
    alone.connector.to(next(model.connector.parameters()))
    return alone
