"""How long and how fast Burgess's models are pretrained."""

from __future__ import annotations

from pydantic import Field

from opabinia.config import Config


class EncoderPretraining(Config):
    """Pretraining of one vision encoder."""

    pictures: int = Field(default=24000, gt=0)
    """Rendered scenes, drawn from at random."""

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    """Pictures a step."""

    lr: float = 1e-3
    """Peak learning rate of AdamW."""

    weight_decay: float = 0.05
    seed: int = 0
    log_every: int = 100


class LanguageModelPretraining(Config):
    """Pretraining of the language model, and its size."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 352
    steps: int = Field(default=7000, gt=0)
    batch: int = Field(default=64, gt=0)
    """Passages a step."""

    lr: float = 2e-3
    """Peak learning rate of AdamW."""

    seed: int = 0
    log_every: int = 250
