"""Settings of `window_cross_attention`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class WindowCrossAttentionSettings(ConnectorSettings, frozen=True):
    """Tokens of the smallest grid attend to the windows of the other grids that show the same place, then a two-layer MLP."""

    type: Literal["window_cross_attention"] = "window_cross_attention"
