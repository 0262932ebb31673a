"""From conversations to token ids, with the labels that train answers and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opabinia.data.records import PLACEHOLDER, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IMAGE_TOKEN = -200
IGNORE = -100


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids with IMAGE_TOKEN where the picture goes, and per token its label: itself, or IGNORE."""

    input_ids: list[int]
    labels: list[int]


def encode_conversation(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> Encoded:
    """Encode a whole conversation; only the answers and the token that ends each are supervised.

    Raises ValueError when the tokenizer has no chat template, or one whose rendering of the first turns
    is not the beginning of its rendering of them all.
    """
    text = _render(tokenizer, turns)
    answers = [_answer_span(tokenizer, turns, index, text) for index in range(1, len(turns), 2)]
    ids, labels = list[int](), list[int]()
    for token, start, end in _tokenize(tokenizer, text):
        supervised = token != IMAGE_TOKEN and any(first <= start and end <= last for first, last in answers)
        ids.append(token)
        labels.append(token if supervised else IGNORE)
    return Encoded(ids, labels)


def encode_prompt(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> list[int]:
    """Encode turns that end with a question, up to where the answer begins. Raises ValueError otherwise."""
    if not turns or turns[-1].role != "user":
        raise ValueError("messages: the last one must be the user's, so that there is something to answer")
    return [token for token, _, _ in _tokenize(tokenizer, _render(tokenizer, turns, answer_next=True))]


def _render(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], *, answer_next: bool = False) -> str:
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    untyped: Any = tokenizer
    text: str = untyped.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer_next)
    return text


def _answer_span(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], index: int, text: str) -> tuple[int, int]:
    """Characters [first, last) of `text` that the model must produce for turn `index`."""
    prompt = _render(tokenizer, turns[:index], answer_next=True)
    through = _render(tokenizer, turns[: index + 1])
    if not (text.startswith(through) and through.startswith(prompt)):
        raise ValueError(
            "language_model: its chat template renders earlier turns differently once later ones follow, "
            "so answers cannot be told from prompts; use a template that only appends"
        )
    # What a template writes after the end token (ChatML: a newline) is never generated, so it is not trained on.
    return len(prompt), len(through.rstrip())


def _tokenize(tokenizer: PreTrainedTokenizerFast, text: str) -> list[tuple[int, int, int]]:
    """(token id, first character, last character + 1) over `text`, each placeholder becoming one IMAGE_TOKEN."""
    tokens = list[tuple[int, int, int]]()
    position = 0
    for index, piece in enumerate(text.split(PLACEHOLDER)):
        if index:
            tokens.append((IMAGE_TOKEN, position, position + len(PLACEHOLDER)))
            position += len(PLACEHOLDER)
        encoded = tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
        offsets = encoded["offset_mapping"]
        spans = zip(encoded["input_ids"], offsets, strict=True)
        tokens += [(token, position + start, position + end) for token, (start, end) in spans]
        position += len(piece)
    return tokens
