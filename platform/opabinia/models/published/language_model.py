"""The language model of a published checkpoint, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def build_language_model(own: Mapping[str, Any]) -> Any:
    """From the language model's own config, by its own model_type. Raises ValueError for one that transformers has not."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    kind = str(own["model_type"])
    mapping: Any = CONFIG_MAPPING
    if kind not in mapping:
        raise ValueError(
            f"model_type: no language model {kind!r} in transformers; known are llama, phi3, mistral, gemma, cohere"
        )
    library: Any = AutoModelForCausalLM
    return library.from_config(mapping[kind].from_dict(dict(own)))
