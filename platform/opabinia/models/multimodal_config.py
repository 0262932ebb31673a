"""What a multimodal model is made of."""

from __future__ import annotations

from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.lora_config import LoraSettings


class ModelConfig(Config):
    """Enough to build a model again around its weights."""

    encoders: tuple[str, ...]
    connector: ConnectorConfig
    language_model: str

    lora: LoraSettings | None = None
    """Adapters that trained in the language model's place and are merged into the weights of a checkpoint."""

    row_separator: bool = False
    """Whether a learnt vector ends each row of visual tokens, and the padding of pictures that are no squares is left out."""
