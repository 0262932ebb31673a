"""Settings of `routed_sum`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.settings.base import ConnectorSettings


class RoutedSumSettings(ConnectorSettings, frozen=True):
    """A two-layer MLP per encoder; tokens are added with weights that a router reads from the text and the image."""

    type: Literal["routed_sum"] = "routed_sum"

    router_width: int = Field(default=64, gt=0)
    """Width of the router's hidden layer."""
