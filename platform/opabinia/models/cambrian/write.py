"""Write a model as a folder in the layout of the released Cambrian-1 models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.settings.mlp import MlpSettings
from connectors.settings.sva import SvaSettings
from opabinia.models.cambrian.fields import FAMILY, HEADS
from opabinia.models.cambrian.towers import tower_names
from opabinia.models.cambrian.weights import published_names
from opabinia.storage.atomic import whole_folder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

    from opabinia.models.multimodal import MultimodalModel

_CLASSES = {"llama": "Llama", "phi3": "Phi3", "mistral": "Mistral", "gemma": "Gemma", "cohere": "Cohere"}
"""The language models that the published code has classes for."""


def write_cambrian(model: MultimodalModel, tokenizer: PreTrainedTokenizerFast | None, folder: Path, card: str) -> None:
    """config.json, safetensors, tokenizer and model card.

    Raises ValueError when the folder exists already, and for a model that the layout cannot say.
    """
    from huggingface_hub import save_torch_state_dict

    weights = _weights(model)
    config = _config(model)
    with whole_folder(folder) as draft:
        save_torch_state_dict(weights, draft)
        (draft / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (draft / "README.md").write_text(card)
        if tokenizer is not None:
            tokenizer.save_pretrained(draft)


def _weights(model: MultimodalModel) -> dict[str, Tensor]:
    llm: Any = model.language_model
    names = published_names(model)
    is_tied = bool(llm.config.tie_word_embeddings)
    # Tied embeddings are one weight; it is written once, as the language model's own folder has it.
    return {
        names[name]: weight.contiguous()
        for name, weight in model.state_dict().items()
        if not (is_tied and names[name] == "lm_head.weight")
    }


def _config(model: MultimodalModel) -> dict[str, Any]:
    llm: Any = model.language_model
    own: dict[str, Any] = llm.config.to_dict()
    if own["model_type"] not in _CLASSES:
        raise ValueError(f"language_model: the layout has no {own['model_type']}; it knows {', '.join(_CLASSES)}")
    if not model.config.row_separator:
        raise ValueError(
            "row_separator: false, but the layout ends every row of visual tokens with one; train with true"
        )
    tokens = [grid.side**2 for grid in model.grids]
    return {
        **own,
        **_connector(model),
        "model_type": FAMILY + own["model_type"],
        "architectures": [f"Cambrian{_CLASSES[own['model_type']]}ForCausalLM"],
        "mm_vision_tower_aux_list": tower_names(model.config.encoders),
        "mm_vision_tower_aux_token_len_list": tokens,
        "vision_tower_aux_token_len_list": tokens,
        "image_token_len": model.config.connector.queries,
        "image_aspect_ratio": "pad",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
    }


def _connector(model: MultimodalModel) -> dict[str, Any]:
    settings = model.config.connector
    if isinstance(settings, SvaSettings):
        return _aggregator(settings)
    sides = {grid.side**2 for grid in model.grids}
    if sides != {settings.queries}:
        raise ValueError(
            f"connector.queries: {settings.queries}, but the layout joins only grids of as many tokens; got {sorted(sides)}"
        )
    widths = sum(grid.width for grid in model.grids)
    kind = settings.type if isinstance(settings, MlpSettings) else "linear"
    return {"mm_projector_type": kind, "connector_only": True, "mm_hidden_size": widths}


def _aggregator(settings: SvaSettings) -> dict[str, Any]:
    if settings.heads != HEADS:
        raise ValueError(f"connector.heads: {settings.heads}, but the layout has {HEADS} and no field for it")
    groups = settings.groups or (settings.queries,)
    return {
        "mm_projector_type": "sva",
        "vision_hidden_size": settings.width,
        "num_query_group": len(groups),
        "query_num_list": list(groups),
        "connector_depth": settings.depth,
        "connector_only": settings.in_llm_count == 0,
        "num_of_vision_sampler_layers": settings.in_llm_count,
        "start_of_vision_sampler_layers": settings.in_llm_start,
        "stride_of_vision_sampler_layers": settings.in_llm_stride,
    }
