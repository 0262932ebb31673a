"""Settings of LoRA adapters in the language model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opabinia.config import Config


class LoraSettings(Config):
    """Low-rank adapters beside linear layers of the language model, which itself stays as it is (Hu et al. 2021).

    The defaults are those of LLaVA-1.5's training code, which Cambrian-1 and Eagle share.
    """

    rank: int = Field(default=64, gt=0)
    """Width of the two small matrices beside each layer."""

    alpha: int = Field(default=16, gt=0)
    """What the adapters add is multiplied by alpha/rank."""

    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Share of an adapter's inputs that training leaves out."""

    targets: tuple[str, ...] | Literal["all_linear"] = Field(default="all_linear", min_length=1)
    """The linear layers that get adapters, by the last part of their names (q_proj, v_proj …), or all_linear for every one but the
    output layer."""
