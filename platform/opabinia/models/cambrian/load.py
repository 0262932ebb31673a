"""Build a model from a folder in the Cambrian-1 layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from connectors.contract import GridShape
from opabinia.models.cambrian.fields import CambrianFields, read_fields
from opabinia.models.cambrian.towers import encoder_ids
from opabinia.models.cambrian.weights import PROJECTOR, fill, published_names, read_projector
from opabinia.models.language_models import load_language_model
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.models.published.language_model import build_language_model
from opabinia.models.published.weights import has_weights, read_weights


def read_cambrian(folder: Path, language_model: str | None = None) -> MultimodalModel:
    """See `opabinia.models.load_cambrian`."""
    fields, own = read_fields(folder)
    weights = _weights(folder, language_model)
    towers = encoder_ids(fields.mm_vision_tower_aux_list, fields.mm_vision_tower_aux_token_len_list)
    config = ModelConfig(
        encoders=towers, connector=fields.connector(), language_model=language_model or str(folder),
        row_separator=True,
    )  # fmt: skip
    llm = load_language_model(language_model) if language_model else build_language_model(own)
    model = MultimodalModel(config, llm, _grids(fields, weights))
    names = published_names(model)
    fill(
        model, names, weights, f"checkpoint {folder} does not fit its config.json", only_connector=bool(language_model)
    )
    return model.eval()


def _weights(folder: Path, language_model: str | None) -> dict[str, Tensor]:
    projector = folder / PROJECTOR
    if language_model is None:
        if projector.is_file() and not has_weights(folder):
            raise ValueError(f"checkpoint {folder}: {PROJECTOR} holds a connector alone; name its language_model too")
        return read_weights(folder)
    if has_weights(folder):
        raise ValueError(f"language_model: {folder} holds a language model of its own; leave it out")
    return read_projector(projector)


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
