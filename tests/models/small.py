"""A real model of the shipped parts, small enough for unit tests."""

from __future__ import annotations

import torch
from torch import Tensor

from connectors.settings.mlp import MlpSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sequence_append import SequenceAppendSettings
from connectors.settings.sva import SvaSettings
from opabinia.encoders.catalogue import CATALOGUE
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.language_models import load_language_model, load_tokenizer
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig

LANGUAGE_MODEL = "burgess/language-model"
ENCODERS = ("burgess/caption-vit", "burgess/dense-convnext")
CONNECTORS: tuple[ConnectorConfig, ...] = (
    MlpSettings(),
    SvaSettings(),
    SequenceAppendSettings(),
    RoutedSumSettings(),
)


def small_model(connector: ConnectorConfig, seed: int = 0) -> MultimodalModel:
    torch.manual_seed(seed)
    config = ModelConfig(encoders=ENCODERS, connector=connector, language_model=LANGUAGE_MODEL)
    return MultimodalModel(config, load_language_model(LANGUAGE_MODEL))


def random_features(images: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    entries = [CATALOGUE[name] for name in ENCODERS]
    return [torch.randn(images, entry.grid**2, entry.width, generator=generator) for entry in entries]


def tokenizer():  # type: ignore[no-untyped-def]
    return load_tokenizer(LANGUAGE_MODEL)
