"""Checkpoint folders: safetensors, one JSON of what the model is made of, and the tokenizer. No pickle is read or written.

model.safetensors      connector and language model
opabinia.json          encoders with the digests of their weights, connector, format version
language_model/        the language model's own config.json, and its tokenizer
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.models.encoder_weights import check_encoder_weights, encoder_digests
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.storage.atomic import whole_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FORMAT = 1
_WEIGHTS, _MAKEUP, _LANGUAGE_MODEL = "model.safetensors", "opabinia.json", "language_model"


def save_checkpoint(model: MultimodalModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the folder whole or not at all. Raises ValueError when it exists already."""
    from safetensors.torch import save_model

    llm: Any = model.language_model
    with whole_folder(folder) as draft:
        save_model(model, str(draft / _WEIGHTS))
        (draft / _MAKEUP).write_text(json.dumps(_makeup(model.config), indent=1) + "\n")
        llm.config.save_pretrained(draft / _LANGUAGE_MODEL)
        llm.generation_config.save_pretrained(draft / _LANGUAGE_MODEL)
        tokenizer.save_pretrained(draft / _LANGUAGE_MODEL)


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder was written by `save_checkpoint`."""
    return (folder / _MAKEUP).is_file()


def load_checkpoint(folder: Path) -> MultimodalModel:
    """Build the model again, in eval mode.

    Raises ValueError when a file is missing, the format is another, an encoder's weights have changed since training, or the
    weights' keys or shapes do not fit.
    """
    from safetensors.torch import load_model  # pyright: ignore[reportUnknownVariableType]
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = _read_makeup(folder)
    library: Any = AutoModelForCausalLM
    llm = library.from_config(AutoConfig.from_pretrained(folder / _LANGUAGE_MODEL))
    llm.generation_config = GenerationConfig.from_pretrained(folder / _LANGUAGE_MODEL)
    model = MultimodalModel(config, llm)
    try:
        load_model(model, str(folder / _WEIGHTS), strict=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"checkpoint {folder}: {_WEIGHTS} does not fit its {_MAKEUP}: {error}") from error
    return model.eval()


def load_checkpoint_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    library: Any = AutoTokenizer
    return library.from_pretrained(folder / _LANGUAGE_MODEL)


def _makeup(config: ModelConfig) -> dict[str, Any]:
    digests = encoder_digests(config.encoders)
    return {"format": FORMAT, "model": config.model_dump(mode="json"), "encoder_weights": digests}


def _read_makeup(folder: Path) -> ModelConfig:
    path = folder / _MAKEUP
    if not path.is_file():
        raise ValueError(f"checkpoint {folder}: {_MAKEUP} is missing; give a folder that training or export wrote")
    makeup = json.loads(path.read_text())
    if makeup.get("format") != FORMAT:
        raise ValueError(
            f"checkpoint {folder}: format {makeup.get('format')} is not {FORMAT}; use the version that wrote it"
        )
    check_encoder_weights(makeup["encoder_weights"], f"checkpoint {folder}")
    return ModelConfig.model_validate(makeup["model"])
