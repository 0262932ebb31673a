"""Loading a tokenizer from its folder, once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@lru_cache(maxsize=4)
def load_tokenizer(folder: str) -> PreTrainedTokenizerFast:
    """Load tokenizer.json and its chat template. Raises ValueError naming `language_model` when one is missing."""
    # AutoTokenizer would import torch, which triples the start of a data task that needs none of it.
    from transformers import PreTrainedTokenizerFast

    if not (Path(folder) / "tokenizer.json").is_file():
        raise ValueError(f"language_model: no tokenizer.json in {folder!r}; point it at a folder with a fast tokenizer")
    tokenizer = cast(Any, PreTrainedTokenizerFast).from_pretrained(folder)
    if not tokenizer.chat_template:
        raise ValueError(f"language_model: the tokenizer in {folder!r} has no chat template; add chat_template.jinja")
    return tokenizer
