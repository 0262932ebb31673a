"""Load any decoder and tokenizer that transformers can load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opabinia.storage.packaged import weights_location

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LANGUAGE_MODELS: dict[str, str] = {"burgess/language-model": "package:opabinia.burgess/weights/language-model"}
"""Short names; any other name is a folder or a hub id."""


def language_model_location(name: str) -> str:
    """Folder or hub id that transformers loads `name` from."""
    return weights_location(LANGUAGE_MODELS.get(name, name))


def load_language_model(name: str) -> PreTrainedModel:
    """Raises ValueError naming the field when nothing can be loaded under that name."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    return _load(AutoModelForCausalLM, name, use_safetensors=True)


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Raises ValueError naming the field when nothing can be loaded under that name."""
    from transformers import AutoTokenizer

    return _load(AutoTokenizer, name)


def _load(library_class: Any, name: str, **options: Any) -> Any:
    try:
        return library_class.from_pretrained(language_model_location(name), **options)
    except OSError as error:
        reason = str(error).splitlines()[0]
        known = ", ".join(LANGUAGE_MODELS)
        raise ValueError(
            f"language_model: {name!r} cannot be loaded ({reason}); name a folder or one of: {known}"
        ) from error
