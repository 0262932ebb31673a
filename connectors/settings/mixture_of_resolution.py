"""Settings of `mixture_of_resolution`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class MixtureOfResolutionSettings(ConnectorSettings, frozen=True):
    """The smallest grid, to which gates let through what the larger grids saw, then a two-layer MLP."""

    type: Literal["mixture_of_resolution"] = "mixture_of_resolution"
