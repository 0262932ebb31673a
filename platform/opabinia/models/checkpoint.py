"""Checkpoint folders: safetensors, one JSON of what the model is made of, and the tokenizer. No pickle is read or written.

model.safetensors      connector and language model
encoders/              weights of the encoders that were trained, OWNER/NAME.safetensors each
opabinia.json          encoders with the digests of their weights, connector, format version
language_model/        the language model's own config.json, and its tokenizer
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.models.encoder_weights import (
    check_encoder_weights,
    check_trained_encoders,
    encoder_digests,
    load_trained_encoder,
    save_trained_encoders,
    trained_digests,
)
from opabinia.models.multimodal import MultimodalModel
from opabinia.models.multimodal_config import ModelConfig
from opabinia.storage.atomic import whole_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from opabinia.encoders.loading import VisionEncoder

FORMAT = 1
_WITH_ENCODERS = 2
"""The format of a folder that holds encoders; versions that would not look for them refuse it."""

_WEIGHTS, _MAKEUP, _LANGUAGE_MODEL, _ENCODERS = "model.safetensors", "opabinia.json", "language_model", "encoders"


def save_checkpoint(
    model: MultimodalModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    encoders: Mapping[str, VisionEncoder] | None = None,
) -> None:
    """Write the folder whole or not at all. `encoders`: by id, those whose weights are no longer the catalogue's.

    Raises ValueError when the folder exists already, or for an encoder that the model has not.
    """
    from safetensors.torch import save_model

    encoders = encoders or {}
    strange = [name for name in encoders if name not in model.config.encoders]
    if strange:
        raise ValueError(f"encoders: {strange[0]} is not one of the model's; leave it out")
    llm: Any = model.language_model
    with whole_folder(folder) as draft:
        save_model(model, str(draft / _WEIGHTS))
        save_trained_encoders(encoders, draft / _ENCODERS)
        (draft / _MAKEUP).write_text(json.dumps(_makeup(model.config, encoders), indent=1) + "\n")
        llm.config.save_pretrained(draft / _LANGUAGE_MODEL)
        llm.generation_config.save_pretrained(draft / _LANGUAGE_MODEL)
        tokenizer.save_pretrained(draft / _LANGUAGE_MODEL)


def is_checkpoint(folder: Path) -> bool:
    """Whether the folder was written by `save_checkpoint`."""
    return (folder / _MAKEUP).is_file()


def load_checkpoint(folder: Path) -> MultimodalModel:
    """Build the model again, in eval mode.

    Raises ValueError when a file is missing, the format is another, an encoder's weights or how it is read have changed since
    training, or the weights' keys or shapes do not fit.
    """
    from safetensors.torch import load_model  # pyright: ignore[reportUnknownVariableType]
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = _read_config(folder)
    library: Any = AutoModelForCausalLM
    llm = library.from_config(AutoConfig.from_pretrained(folder / _LANGUAGE_MODEL))
    llm.generation_config = GenerationConfig.from_pretrained(folder / _LANGUAGE_MODEL)
    model = MultimodalModel(config, llm)
    try:
        load_model(model, str(folder / _WEIGHTS), strict=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"checkpoint {folder}: {_WEIGHTS} does not fit its {_MAKEUP}: {error}") from error
    return model.eval()


def checkpoint_config(folder: Path) -> ModelConfig:
    """What the model is made of, without its weights. Raises ValueError where these are not those of the encoders that are here."""
    return _read_config(folder)


def load_checkpoint_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    library: Any = AutoTokenizer
    return library.from_pretrained(folder / _LANGUAGE_MODEL)


def load_checkpoint_encoders(folder: Path) -> tuple[VisionEncoder, ...] | None:
    """The model's encoders in its order, those that were trained with the folder's weights; None where none was.

    Raises ValueError when weights are missing or do not fit.
    """
    from opabinia.encoders.loading import load_encoder

    trained = _read_makeup(folder).get("trained_encoders", {})
    if not trained:
        return None
    return tuple(
        load_trained_encoder(name, folder / _ENCODERS) if name in trained else load_encoder(name)
        for name in _read_config(folder).encoders
    )


def _makeup(config: ModelConfig, trained: Collection[str]) -> dict[str, Any]:
    makeup = {
        "format": _WITH_ENCODERS if trained else FORMAT,
        "model": config.model_dump(mode="json"),
        "encoder_weights": encoder_digests(name for name in config.encoders if name not in trained),
    }
    return {**makeup, "trained_encoders": trained_digests(trained)} if trained else makeup


def _read_config(folder: Path) -> ModelConfig:
    makeup, where = _read_makeup(folder), f"checkpoint {folder}"
    check_encoder_weights(makeup["encoder_weights"], where)
    check_trained_encoders(makeup.get("trained_encoders", {}), where)
    return ModelConfig.model_validate(makeup["model"])


def _read_makeup(folder: Path) -> dict[str, Any]:
    path = folder / _MAKEUP
    if not path.is_file():
        raise ValueError(f"checkpoint {folder}: {_MAKEUP} is missing; give a folder that training or export wrote")
    makeup: dict[str, Any] = json.loads(path.read_text())
    if makeup.get("format") not in (FORMAT, _WITH_ENCODERS):
        raise ValueError(
            f"checkpoint {folder}: format {makeup.get('format')} is not {FORMAT} or {_WITH_ENCODERS}; use the version that wrote it"
        )
    return makeup
