"""The fields of a Cambrian-1 config.json that say how its parts are joined."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.settings.mlp import MLP_PATTERN, MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.connector_config import ConnectorConfig

_HEADS = 16
"""Attention heads of every published aggregator; no field says so."""

_FAMILY = "cambrian_"


class CambrianFields(BaseModel):
    """What a loader must honour; the language model's own fields stand beside these and are left in `language_model`."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    model_type: str
    mm_projector_type: str
    mm_vision_tower_aux_list: tuple[str, ...]
    mm_vision_tower_aux_token_len_list: tuple[int, ...]
    image_token_len: int
    vision_hidden_size: int = 1024
    query_num_list: tuple[int, ...] = ()
    num_query_group: int = 1
    connector_depth: int = 1
    connector_only: bool = True
    num_of_vision_sampler_layers: int = 0
    start_of_vision_sampler_layers: int = 0
    stride_of_vision_sampler_layers: int = 1

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of each tower's grid."""
        return tuple(math.isqrt(tokens) for tokens in self.mm_vision_tower_aux_token_len_list)

    def connector(self) -> ConnectorConfig:
        """Raises ValueError for a projector that this library has no connector for."""
        if self.mm_projector_type == "sva":
            inner = 0 if self.connector_only else self.num_of_vision_sampler_layers
            return SvaSettings(
                queries=self.image_token_len, groups=self.query_num_list, width=self.vision_hidden_size, heads=_HEADS,
                depth=self.connector_depth, in_llm_start=self.start_of_vision_sampler_layers,
                in_llm_stride=self.stride_of_vision_sampler_layers, in_llm_count=inner,
            )  # fmt: skip
        kind = "mlp1x_gelu" if self.mm_projector_type == "linear" else self.mm_projector_type
        try:
            return MlpSettings(type=kind, queries=self.image_token_len)
        except ValidationError:
            raise ValueError(
                f"mm_projector_type: {kind!r} is not known here; known: sva, linear, and what fits {MLP_PATTERN}"
            ) from None


def read_fields(folder: Path) -> tuple[CambrianFields, dict[str, Any]]:
    """The joining fields, and the language model's own config with its own model_type.

    Raises ValueError when config.json is missing, lacks a field or contradicts itself.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"checkpoint {folder}: config.json is missing; give a folder in the Cambrian-1 layout")
    content = cast("dict[str, Any]", json.loads(path.read_text()))
    try:
        fields = CambrianFields.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path}: {place}: {first['msg'].lower()}") from None
    _check(fields, path)
    return fields, {**content, "model_type": fields.model_type.removeprefix(_FAMILY)}


def _check(fields: CambrianFields, path: Path) -> None:
    towers, counts = fields.mm_vision_tower_aux_list, fields.mm_vision_tower_aux_token_len_list
    if not fields.model_type.startswith(_FAMILY):
        raise ValueError(
            f"{path}: model_type: {fields.model_type!r} is not of this family; expected {_FAMILY}llama or the like"
        )
    if len(towers) != len(counts):
        raise ValueError(f"{path}: mm_vision_tower_aux_token_len_list: {len(counts)} entries for {len(towers)} towers")
    if fields.mm_projector_type != "sva":
        return
    if len(fields.query_num_list) != fields.num_query_group:
        raise ValueError(
            f"{path}: query_num_list: {len(fields.query_num_list)} entries, but num_query_group is {fields.num_query_group}"
        )
    for count in (fields.image_token_len, *fields.query_num_list):
        for tower, side in zip(towers, fields.sides, strict=True):
            if side % max(1, math.isqrt(count)):
                raise ValueError(
                    f"{path}: {tower}'s grid of {side} x {side} cannot be cut into windows for {count} queries"
                )
