"""Build a model and its encoders from a folder in the layout of the released Eagle models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from connectors.contract import GridShape
from opabinia.encoders.loading import VisionEncoder
from opabinia.models.eagle.fields import EagleFields, read_fields
from opabinia.models.eagle.towers import Profile, Tower, published_towers
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.published.language_model import build_language_model
from opabinia.models.published.weights import check_keys, read_weights
from opabinia.names import unknown

_TOWER_KEY = re.compile(r"^model\.vision_tower\.vision_towers\.(\d+)\.vision_tower\.(.*)$")


def read_eagle(
    folder: Path, profile: Profile = "eagle_release", towers: Mapping[str, Tower] | None = None
) -> tuple[MultimodalModel, tuple[VisionEncoder, ...]]:
    """The model in eval mode, and its encoders with the folder's weights, in the order in which the model takes their features.

    Both are in the types that the weights are stored in. towers: what the names in `mm_vision_tower` stand for, where that is not
    what was published. Raises ValueError when a file is missing, its fields contradict its weights, or a key is missing, unexpected
    or of another shape.
    """
    fields, own = read_fields(folder)
    weights = read_weights(folder)
    chosen = _chosen(fields, towers or published_towers(profile))
    _check_towers(fields, chosen, weights, folder)
    model = MultimodalModel(_config(fields, chosen, folder), build_language_model(own), _grids(chosen))
    networks = [_without_memory(tower) for tower in chosen]
    places = {_published_name(name): weight for name, weight in model.state_dict().items()}
    for index, (tower, network) in enumerate(zip(chosen, networks, strict=True)):
        places |= _tower_places(index, tower, network)
    given = _given(weights, chosen)
    _check_keys(model, places, given, folder)
    values = {name: weight for name, (_, weight) in given.items()}
    _fill(model, values)
    return model.eval(), tuple(_encoder(i, *part, values) for i, part in enumerate(zip(chosen, networks, strict=True)))


def _chosen(fields: EagleFields, known: Mapping[str, Tower]) -> list[Tower]:
    for name in fields.towers:
        if name not in known:
            raise unknown("tower", name, known, place="mm_vision_tower")
    return [known[name] for name in fields.towers]


def _check_towers(fields: EagleFields, chosen: Sequence[Tower], weights: Mapping[str, Tensor], folder: Path) -> None:
    # What a number stands for depends on the towers before it, so that one tower too few misnames all that follow.
    numbers = {int(match[1]) for match in map(_TOWER_KEY.match, weights) if match}
    if numbers != set(range(len(chosen))):
        held = ", ".join(map(str, sorted(numbers))) or "none"
        raise ValueError(
            f"checkpoint {folder}: mm_vision_tower names {len(chosen)} towers, but the weights hold those numbered {held}"
        )
    width = sum(tower.entry.width for tower in chosen)
    if fields.mm_hidden_size != width:
        raise ValueError(
            f"checkpoint {folder}: mm_hidden_size is {fields.mm_hidden_size}, but the towers of mm_vision_tower give {width} channels"
        )


def _without_memory(tower: Tower) -> nn.Module:
    # So that nothing large is drawn at random only to be replaced, and a folder that does not fit is refused at once.
    with torch.device("meta"):
        return tower.build(tower.entry)


def _config(fields: EagleFields, chosen: Sequence[Tower], folder: Path) -> ModelConfig:
    return ModelConfig(
        encoders=tuple(tower.entry.id for tower in chosen),
        connector=fields.connector(chosen[0].entry.grid ** 2),
        language_model=str(folder),
    )


def _grids(chosen: Sequence[Tower]) -> list[GridShape]:
    return [GridShape(tower.entry.grid, tower.entry.width) for tower in chosen]


def _published_name(name: str) -> str:
    """Of a weight of the model. A single linear layer has no number of its own."""
    inner = re.sub(r"^connector\.layers?\.", "model.mm_projector.", name)
    return inner.removeprefix("language_model.")


def _tower_places(index: int, tower: Tower, network: nn.Module) -> dict[str, Tensor]:
    prefix = f"model.vision_tower.vision_towers.{index}.vision_tower."
    return {prefix + name: place for name, place in tower.places(network).items()}


def _given(weights: Mapping[str, Tensor], chosen: Sequence[Tower]) -> dict[str, tuple[str, Tensor]]:
    """By the name that its place has, each weight's key in the checkpoint and the weight; without those that nothing reads."""
    given: dict[str, tuple[str, Tensor]] = {}
    for key, weight in weights.items():
        match = _TOWER_KEY.match(key)
        name = chosen[int(match[1])].own_name(match[2]) if match else key
        if name is not None:
            given[key[: match.start(2)] + name if match else key] = (key, weight)
    return given


def _check_keys(
    model: MultimodalModel, places: Mapping[str, Tensor], given: Mapping[str, tuple[str, Tensor]], folder: Path
) -> None:
    llm: Any = model.language_model
    is_tied = bool(llm.config.tie_word_embeddings)
    optional = {"lm_head.weight"} if is_tied else set[str]()
    check_keys(places, given, f"checkpoint {folder} does not fit its config.json", optional)


def _fill(model: MultimodalModel, values: Mapping[str, Tensor]) -> None:
    names = {name: _published_name(name) for name in model.state_dict()}
    model.load_state_dict(
        {name: values[published] for name, published in names.items() if published in values}, assign=True, strict=False
    )
    llm: Any = model.language_model
    llm.tie_weights()


def _encoder(index: int, tower: Tower, network: nn.Module, values: Mapping[str, Tensor]) -> VisionEncoder:
    network.to(next(values[name] for name in _tower_places(index, tower, network)).dtype).to_empty(device="cpu")
    for name, place in _tower_places(index, tower, network).items():
        place.copy_(values[name])
    return VisionEncoder(tower.entry, tower.finished(network, tower.entry))
