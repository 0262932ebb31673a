"""Settings of `interleave`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class InterleaveSettings(ConnectorSettings, frozen=True):
    """A two-layer MLP per encoder; each encoder gives the language model `queries` tokens, alternating cell by cell."""

    type: Literal["interleave"] = "interleave"
