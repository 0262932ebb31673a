"""Giving a tokenizer a conversation format; from then on its own chat template says it, in every checkpoint too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opabinia.data.conversations.formats import find_format

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def speak(tokenizer: PreTrainedTokenizerFast, name: str, system: str | None = None) -> None:
    """Change the tokenizer's chat template to a format's, and its end of sequence to what ends that format's answers.

    Raises ValueError naming the field when the format is unknown or the tokenizer lacks one of its tokens.
    """
    spoken = find_format(name, "conversation")
    untyped: Any = tokenizer
    for token in spoken.control:
        if not _is_one_token(tokenizer, token):
            raise ValueError(
                f"conversation: {name!r} needs the token {token!r}, which the tokenizer does not have; use a language model "
                "that was made for this format, or another format"
            )
    if spoken.needs_eos and not untyped.eos_token:
        raise ValueError(
            f"conversation: {name!r} ends answers with eos_token, which the tokenizer does not have; set it"
        )
    untyped.chat_template = spoken.template(system)
    if spoken.end is not None:
        untyped.eos_token = spoken.end


def _is_one_token(tokenizer: PreTrainedTokenizerFast, token: str) -> bool:
    untyped: Any = tokenizer
    ids: list[int] = untyped(token, add_special_tokens=False)["input_ids"]
    return len(ids) == 1 and untyped.convert_ids_to_tokens(ids[0]) == token
