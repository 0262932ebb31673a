"""Build a model from a folder in the Cambrian-1 layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from connectors.contract import GridShape
from opabinia.models.cambrian.fields import CambrianFields, read_fields
from opabinia.models.cambrian.keys import own_name
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig

_SHOWN = 8
"""How many offending keys an error names."""


def read_cambrian(folder: Path) -> MultimodalModel:
    """See `opabinia.models.load_cambrian`."""
    fields, own = read_fields(folder)
    weights = _read_weights(folder)
    connector = fields.connector()
    config = ModelConfig(
        encoders=fields.mm_vision_tower_aux_list, connector=connector, language_model=str(folder), row_separator=True
    )
    llm = _language_model(own)
    model = MultimodalModel(config, llm, _grids(fields, weights))
    is_sva = fields.mm_projector_type == "sva"
    inner = model.connector.inner_layers
    renamed = {own_name(key, is_sva=is_sva, inner_layers=inner): (key, weight) for key, weight in weights.items()}
    is_tied = bool(llm.config.tie_word_embeddings)
    _check_keys(model, renamed, {"language_model.lm_head.weight"} if is_tied else set(), folder)
    model.load_state_dict({name: weight for name, (_, weight) in renamed.items()}, assign=True, strict=False)
    if is_tied:
        llm.tie_weights()
    return model.eval()


def _language_model(own: Mapping[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    kind = str(own["model_type"])
    mapping: Any = CONFIG_MAPPING
    if kind not in mapping:
        raise ValueError(
            f"model_type: no language model {kind!r} in transformers; known are llama, phi3, mistral, gemma, cohere"
        )
    library: Any = AutoModelForCausalLM
    return library.from_config(mapping[kind].from_dict(dict(own)))


def _grids(fields: CambrianFields, weights: Mapping[str, Tensor]) -> list[GridShape]:
    """The towers are not in the checkpoint; how wide their features are shows in the weights that read them."""
    if fields.mm_projector_type == "sva":
        keys = [f"model.mm_projector_aux_{index}.0.weight" for index in range(len(fields.sides))]
        absent = [key for key in keys if key not in weights]
        if absent:
            raise ValueError(f"checkpoint: {', '.join(absent)} missing; every tower needs its projection")
        return [GridShape(side, weights[key].shape[1]) for side, key in zip(fields.sides, keys, strict=True)]
    first = next(
        (weights[key] for key in ("model.mm_projector.0.weight", "model.mm_projector.weight") if key in weights), None
    )
    if first is None:
        raise ValueError("checkpoint: model.mm_projector.0.weight missing; the connector has no first layer")
    # Only the sum of the widths is known; what a channel concatenation is told of each encoder is its grid.
    towers = len(fields.sides)
    widths = [first.shape[1] // towers + (index < first.shape[1] % towers) for index in range(towers)]
    return [GridShape(side, width) for side, width in zip(fields.sides, widths, strict=True)]


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Every weight of the folder, by its published name; safetensors first, .bin without running what it holds."""
    from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]

    files = _weight_files(folder)
    if not files:
        raise ValueError(
            f"checkpoint {folder}: no model.safetensors, shards or pytorch_model.bin; the weights are missing"
        )
    weights: dict[str, Tensor] = {}
    for file in files:
        content: dict[str, Tensor] = (
            load_file(file)
            if file.suffix == ".safetensors"
            else torch.load(file, map_location="cpu", weights_only=True)
        )
        weights |= content
    return weights


def _weight_files(folder: Path) -> list[Path]:
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            absent = [shard for shard in shards if not (folder / shard).is_file()]
            if absent:
                raise ValueError(f"checkpoint {folder}: shard {absent[0]} is missing; copy the folder again")
            return [folder / shard for shard in shards]
    return []


def _check_keys(
    model: MultimodalModel, renamed: Mapping[str, tuple[str, Tensor]], optional: set[str], folder: Path
) -> None:
    wanted = model.state_dict()
    faults = [f"missing {name}" for name in wanted if name not in renamed and name not in optional]
    faults += [f"unexpected {key}" for name, (key, _) in renamed.items() if name not in wanted]
    faults += [
        f"{key} has shape {list(weight.shape)}, expected {list(wanted[name].shape)}"
        for name, (key, weight) in renamed.items()
        if name in wanted and weight.shape != wanted[name].shape
    ]
    if faults:
        more = f", and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ValueError(f"checkpoint {folder} does not fit its config.json: {', '.join(faults[:_SHOWN])}{more}")
