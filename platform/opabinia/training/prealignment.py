"""Vision-language pre-alignment: one encoder before the language model, with a projector of its own (Shi et al. 2024)."""

from __future__ import annotations

from connectors.settings.mlp import MlpSettings
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig


def model_alone(model: MultimodalModel, encoder: str) -> MultimodalModel:
    """The same language model behind a new two-layer MLP that sees one of the model's encoders, given by its id.

    It gives a picture as many visual tokens as `model`'s connector was asked for, and lies where the language model does. What it
    teaches the encoder stays; the projector is dropped with it, as the model's own connector is trained after it.
    """
    place = model.config.encoders.index(encoder)
    config = ModelConfig(
        encoders=(encoder,),
        connector=MlpSettings(queries=model.config.connector.queries),
        language_model=model.config.language_model,
    )
    alone = MultimodalModel(config, model.language_model, [model.grids[place]])
    alone.connector.to(next(model.connector.parameters()))
    return alone
