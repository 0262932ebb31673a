"""The fields of an Eagle config.json that say how its parts are joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.settings.channel_concat import ChannelConcatSettings
from connectors.settings.linear import LinearSettings
from connectors.settings.mlp import MLP_PATTERN, MlpSettings
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.published.config import read_config

_FAMILY = "eagle_"


class EagleFields(BaseModel):
    """What a loader must honour; the language model's own fields stand beside these."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    model_type: str
    mm_vision_tower: str
    mm_projector_type: str
    mm_hidden_size: int
    mm_patch_merge_type: str | None = None
    image_aspect_ratio: str | None = None

    @property
    def towers(self) -> tuple[str, ...]:
        """Names of the towers, in the order in which their channels are joined and their weights are numbered."""
        return tuple(self.mm_vision_tower.split(";"))

    def connector(self, queries: int) -> ConnectorConfig:
        """Raises ValueError for a projector that this library has no connector for."""
        if self.mm_projector_type == "linear":
            return LinearSettings(queries=queries)
        if self.mm_projector_type == "mlp2x_gelu":
            return ChannelConcatSettings(queries=queries)
        try:
            return MlpSettings(type=self.mm_projector_type, queries=queries)
        except ValidationError:
            raise ValueError(
                f"mm_projector_type: {self.mm_projector_type!r} is not known here; known: linear, and what fits {MLP_PATTERN}"
            ) from None


def read_fields(folder: Path) -> tuple[EagleFields, dict[str, Any]]:
    """The joining fields, and the language model's own config with its own model_type.

    Raises ValueError when config.json is missing, lacks a field or asks for what the released models do not do.
    """
    fields, content = read_config(folder, EagleFields)
    place = folder / "config.json"
    if not fields.model_type.startswith(_FAMILY):
        raise ValueError(f"{place}: model_type: {fields.model_type!r} is not of this family; expected {_FAMILY}llama")
    if fields.mm_patch_merge_type not in (None, "flat"):
        raise ValueError(
            f"{place}: mm_patch_merge_type: {fields.mm_patch_merge_type!r} lacks its code in the release; only flat works"
        )
    if fields.image_aspect_ratio not in (None, "pad"):
        raise ValueError(
            f"{place}: image_aspect_ratio: {fields.image_aspect_ratio!r} is not how these encoders prepare pictures; only pad is"
        )
    return fields, {**content, "model_type": fields.model_type.removeprefix(_FAMILY)}
