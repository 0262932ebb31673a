"""The fields of a Cambrian-1 config.json that say how its parts are joined."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.settings.linear import LinearSettings
from connectors.settings.mlp import MLP_PATTERN, MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.connector_config import ConnectorConfig
from opabinia.models.published.config import read_config

HEADS = 16
"""Attention heads of every published aggregator; no field says so."""

FAMILY = "cambrian_"


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
    image_position: int = 0
    tokenizer_model_max_length: int = 2048

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of each tower's grid."""
        return tuple(math.isqrt(tokens) for tokens in self.mm_vision_tower_aux_token_len_list)

    def connector(self) -> ConnectorConfig:
        """Raises ValueError for a projector that this library has no connector for."""
        if self.mm_projector_type == "sva":
            inner = 0 if self.connector_only else self.num_of_vision_sampler_layers
            return SvaSettings(
                queries=self.image_token_len, groups=self.query_num_list, width=self.vision_hidden_size, heads=HEADS,
                depth=self.connector_depth, in_llm_start=self.start_of_vision_sampler_layers,
                in_llm_stride=self.stride_of_vision_sampler_layers, in_llm_count=inner,
            )  # fmt: skip
        if self.mm_projector_type == "linear":
            return LinearSettings(queries=self.image_token_len)
        try:
            return MlpSettings(type=self.mm_projector_type, queries=self.image_token_len)
        except ValidationError:
            raise ValueError(
                f"mm_projector_type: {self.mm_projector_type!r} is not known here; known: sva, linear, and what fits {MLP_PATTERN}"
            ) from None


def read_fields(folder: Path) -> tuple[CambrianFields, dict[str, Any]]:
    """The joining fields, and the language model's own config with its own model_type.

    Raises ValueError when config.json is missing, lacks a field or contradicts itself.
    """
    fields, content = read_config(folder, CambrianFields)
    _check(fields, folder / "config.json")
    return fields, {**content, "model_type": fields.model_type.removeprefix(FAMILY)}


def _check(fields: CambrianFields, path: Path) -> None:
    towers, counts = fields.mm_vision_tower_aux_list, fields.mm_vision_tower_aux_token_len_list
    if not fields.model_type.startswith(FAMILY):
        raise ValueError(
            f"{path}: model_type: {fields.model_type!r} is not of this family; expected {FAMILY}llama or the like"
        )
    if len(towers) != len(counts):
        raise ValueError(f"{path}: mm_vision_tower_aux_token_len_list: {len(counts)} entries for {len(towers)} towers")
    for count in (fields.image_token_len, *counts, *fields.query_num_list):
        if count <= 0 or math.isqrt(count) ** 2 != count:
            raise ValueError(f"{path}: {count} tokens are no square grid")
    fields.connector()
    _check_position(fields, path)
    if fields.mm_projector_type == "sva":
        _check_windows(fields, path)
    elif set(counts) != {fields.image_token_len}:
        raise ValueError(
            f"{path}: mm_vision_tower_aux_token_len_list: {fields.mm_projector_type} joins grids of image_token_len "
            f"{fields.image_token_len} only, got {list(counts)}"
        )


def _check_position(fields: CambrianFields, path: Path) -> None:
    """Where the image stands is read from the text, but a position that no text allows betrays a config of another model."""
    side = math.isqrt(fields.image_token_len)
    if fields.image_position < 0 or fields.image_position + side * (side + 1) > fields.tokenizer_model_max_length:
        raise ValueError(
            f"{path}: image_position: {fields.image_position} leaves no room for {side * (side + 1)} visual tokens within "
            f"tokenizer_model_max_length {fields.tokenizer_model_max_length}"
        )


def _check_windows(fields: CambrianFields, path: Path) -> None:
    if len(fields.query_num_list) != fields.num_query_group:
        raise ValueError(
            f"{path}: query_num_list: {len(fields.query_num_list)} entries, but num_query_group is {fields.num_query_group}"
        )
    for count in (fields.image_token_len, *fields.query_num_list):
        for tower, side in zip(fields.mm_vision_tower_aux_list, fields.sides, strict=True):
            if side % math.isqrt(count):
                raise ValueError(
                    f"{path}: {tower}'s grid of {side} x {side} cannot be cut into windows for {count} queries"
                )
