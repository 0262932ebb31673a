"""Settings of `sequence_append`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class SequenceAppendSettings(ConnectorSettings, frozen=True):
    """A two-layer MLP per encoder; each encoder gives the language model `queries` tokens, one encoder after another."""

    type: Literal["sequence_append"] = "sequence_append"
