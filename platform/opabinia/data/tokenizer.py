"""Loading a tokenizer from its folder, once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opabinia.data.conversations.speaking import speak

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@lru_cache(maxsize=4)
def load_tokenizer(folder: str, conversation: str | None = None, system: str | None = None) -> PreTrainedTokenizerFast:
    """Load tokenizer.json with its own chat template, or to speak in the format named `conversation`, perhaps with `system`.

    Raises ValueError naming `language_model` when a file is missing, or naming the format that the tokenizer cannot speak in.
    """
    # AutoTokenizer would import torch, which triples the start of a data task that needs none of it.
    from transformers import PreTrainedTokenizerFast

    if not has_fast_tokenizer(folder):
        raise ValueError(f"language_model: no tokenizer.json in {folder!r}; point it at a folder with a fast tokenizer")
    tokenizer = cast(Any, PreTrainedTokenizerFast).from_pretrained(folder)
    if conversation is not None:
        speak(tokenizer, conversation, system)
    if not tokenizer.chat_template:
        raise ValueError(
            f"language_model: the tokenizer in {folder!r} has no chat template; add chat_template.jinja or set "
            "data.conversation"
        )
    return tokenizer


def has_fast_tokenizer(folder: str) -> bool:
    """Whether `load_tokenizer` finds what it needs."""
    return (Path(folder) / "tokenizer.json").is_file()
