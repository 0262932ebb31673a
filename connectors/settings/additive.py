"""Settings of `additive`."""

from __future__ import annotations

from typing import Literal

from connectors.settings.base import ConnectorSettings


class AdditiveSettings(ConnectorSettings, frozen=True):
    """A two-layer MLP per encoder; the tokens of all encoders are added cell by cell."""

    type: Literal["additive"] = "additive"
