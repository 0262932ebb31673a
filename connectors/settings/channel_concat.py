"""Settings of `channel_concat`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class ChannelConcatSettings(ConnectorSettings, frozen=True):
    """Grids of all encoders interpolated with aligned corners, concatenated on channels, then a two-layer MLP."""

    type: Literal["channel_concat"] = "channel_concat"
