"""Weights under their published names, into a model and out of it: whole, or the connector alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from connectors.registry import family
from opabinia.models.cambrian.keys import PUBLISHED_CONNECTORS, published_name
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.published.weights import check_keys

PROJECTOR = "mm_projector.bin"
"""A connector alone, as the first stage of Cambrian-1 and LLaVA-1.5 leaves it; both name its weights alike."""


def published_names(model: MultimodalModel) -> dict[str, str]:
    """Name here -> name in a checkpoint, for every weight of the model.

    Raises ValueError for a connector that such checkpoints do not know.
    """
    kind = family(model.config.connector.type)
    if kind not in PUBLISHED_CONNECTORS:
        raise ValueError(
            f"connector.type: {model.config.connector.type} has no place in this layout; it knows {', '.join(PUBLISHED_CONNECTORS)}"
        )
    return {name: published_name(name, kind, model.connector.inner_layers) for name in model.state_dict()}


def fill(
    model: MultimodalModel, names: Mapping[str, str], weights: Mapping[str, Tensor], place: str, *, only_connector: bool
) -> None:
    """Put `weights` into the model. Raises ValueError naming those that are missing, unexpected or of another shape."""
    state = model.state_dict()
    wanted = {theirs: state[name] for name, theirs in names.items() if not (only_connector and _is_language(name))}
    llm: Any = model.language_model
    is_tied = bool(llm.config.tie_word_embeddings)
    check_keys(
        wanted, {key: (key, weight) for key, weight in weights.items()}, place, {"lm_head.weight"} if is_tied else ()
    )
    own = {name: weights[theirs] for name, theirs in names.items() if theirs in weights}
    model.load_state_dict(own, assign=not only_connector, strict=False)
    if is_tied:
        llm.tie_weights()


def read_projector(file: Path) -> dict[str, Tensor]:
    """Raises ValueError when the file is missing or holds more than weights."""
    if not file.is_file():
        raise ValueError(f"{file}: no such file; give the {PROJECTOR} that the first training stage wrote")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{file}: cannot be read as weights alone: {reason}") from None


def fill_projector(model: MultimodalModel, file: Path) -> None:
    """See `opabinia.models.load_projector`."""
    fill(model, published_names(model), read_projector(file), f"{file} does not fit the model", only_connector=True)


def _is_language(name: str) -> bool:
    return name.startswith("language_model.")
