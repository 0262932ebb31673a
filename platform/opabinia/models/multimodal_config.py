"""What a multimodal model is made of."""

from __future__ import annotations

from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig


class ModelConfig(Config):
    """Enough to build a model again around its weights."""

    encoders: tuple[str, ...]
    connector: ConnectorConfig
    language_model: str

    row_separator: bool = False
    """Whether a learnt vector ends each row of visual tokens, and the padding of pictures that are no squares is left out."""
