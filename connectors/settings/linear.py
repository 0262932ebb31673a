"""Settings of `linear`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class LinearSettings(ConnectorSettings, frozen=True):
    """One linear layer over the channel-concatenated grids of all encoders."""

    type: Literal["linear"] = "linear"
