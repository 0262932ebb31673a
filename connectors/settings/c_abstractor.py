"""Settings of `c_abstractor`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.settings.base import ConnectorSettings


class CAbstractorSettings(ConnectorSettings, frozen=True):
    """Convolutional blocks over the channel-concatenated grids, pooling, blocks again, then a two-layer MLP."""

    type: Literal["c_abstractor"] = "c_abstractor"

    width: int = Field(default=128, gt=0)
    """Channels of the blocks; 1024 as published."""

    depth: int = Field(default=3, gt=0)
    """Blocks before pooling, and again after it."""
