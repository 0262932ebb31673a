"""Settings of `ldpv2`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class Ldpv2Settings(ConnectorSettings, frozen=True):
    """A two-layer MLP over the channel-concatenated grids, pooling, then a convolution that tells tokens where they are."""

    type: Literal["ldpv2"] = "ldpv2"
