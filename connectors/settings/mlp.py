"""Settings of `mlpNx_gelu`."""

from __future__ import annotations

from pydantic import Field

from connectors.settings.base import ConnectorSettings

MLP_PATTERN = r"^mlp([1-9]\d?)x_gelu$"


class MlpSettings(ConnectorSettings, frozen=True):
    """An MLP over the channel-concatenated grids of all encoders."""

    type: str = Field(default="mlp2x_gelu", pattern=MLP_PATTERN)
    """mlpNx_gelu: N linear layers with GELU between them."""

    @property
    def depth(self) -> int:
        """The N of the name."""
        return int(self.type.removeprefix("mlp").removesuffix("x_gelu"))
