"""From conversations to token ids, with the labels that train answers and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from opabinia.data.records import PLACEHOLDER, Turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IMAGE_TOKEN = -200
IGNORE = -100

# A Unicode noncharacter, which texts are not meant to hold: no token reaches across it, and it becomes none itself.
_CUT = "\ufdd0"


class MaskError(ValueError):
    """A conversation whose answers cannot be told from its prompts to the token; the message is the reason, one line."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids with IMAGE_TOKEN where the picture goes, and per token its label: itself, or IGNORE."""

    input_ids: list[int]
    labels: list[int]


def encode_conversation(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> Encoded:
    """Encode a whole conversation; only the tokens of the answers and of what ends each are supervised.

    What stands before an answer is exactly what `encode_prompt` gives for the turns before it. Raises MaskError where that cannot
    be: a token that reaches from a prompt into its answer, an answer that holds one of the tokenizer's control tokens, a template
    that refuses these turns, rewrites earlier ones or answers, or ends answers with nothing.
    """
    for number, turn in enumerate(turns, start=1):
        if turn.role == "assistant":
            _check_answer(tokenizer, turn.text, number)
    text = _render(tokenizer, turns)
    ids = _tokenize(tokenizer, text)
    labels = [IGNORE] * len(ids)
    for index in range(1, len(turns), 2):
        start, end = _answer_span(tokenizer, turns, index, text)
        first = _count_tokens(tokenizer, text[:start], ids, f"turn {index + 1} begins")
        last = _count_tokens(tokenizer, text[:end], ids, f"turn {index + 1} ends")
        labels[first:last] = ids[first:last]
    return Encoded(ids, labels)


def encode_prompt(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn]) -> list[int]:
    """Encode turns that end with a question, up to where the answer begins. Raises ValueError otherwise.

    Control tokens that somebody typed are read as the letters they are made of, so that they open and end no turn.
    """
    if not turns or turns[-1].role != "user":
        raise ValueError("messages: the last one must be the user's, so that there is something to answer")
    return _tokenize(tokenizer, _render(tokenizer, turns, answer_next=True))


def _render(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], *, answer_next: bool = False) -> str:
    from jinja2 import TemplateError

    messages = [{"role": turn.role, "content": _disarm(tokenizer, turn.text)} for turn in turns]
    untyped: Any = tokenizer
    try:
        text: str = untyped.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer_next)
    except TemplateError as error:
        raise MaskError(f"the chat template refuses it: {error.message}") from error
    return text


def _answer_span(tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], index: int, text: str) -> tuple[int, int]:
    """Characters [first, last) of `text` that the model must produce for turn `index`."""
    prompt = _render(tokenizer, turns[:index], answer_next=True)
    through = _render(tokenizer, turns[: index + 1])
    if not (text.startswith(through) and through.startswith(prompt)):
        raise MaskError(
            "language_model: its chat template renders earlier turns differently once later ones follow, "
            "so answers cannot be told from prompts; use a template that only appends"
        )
    written, answer = through[len(prompt) :].lstrip(), turns[index].text.strip()
    if not written.startswith(answer):
        raise MaskError(f"turn {index + 1}: the chat template writes other text where the answer must stand")
    ending = written.removeprefix(answer)
    if not ending:
        raise MaskError(f"turn {index + 1}: the chat template writes nothing that ends the answer")
    # What a template writes after the end token (ChatML: a newline) is never generated, so it is not trained on; but where
    # whitespace is all that follows, as after a caption, that is the end.
    return len(prompt), len(through.rstrip() if ending.strip() else through)


def _count_tokens(tokenizer: PreTrainedTokenizerFast, text: str, ids: list[int], place: str) -> int:
    """How many of `ids` are the tokens of `text`, with which the whole text begins."""
    tokens = _tokenize(tokenizer, text)
    if ids[: len(tokens)] != tokens:
        raise MaskError(f"where {place}, one token holds both prompt and answer, or tokens depend on what follows")
    return len(tokens)


def _tokenize(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Token ids of `text`, each placeholder becoming one IMAGE_TOKEN."""
    ids = list[int]()
    for index, piece in enumerate(text.split(PLACEHOLDER)):
        if index:
            ids.append(IMAGE_TOKEN)
        for part in piece.split(_CUT):
            ids += tokenizer(part, add_special_tokens=False)["input_ids"] if part else []
    return ids


def _disarm(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    """The text with a cut inside every control token in it. Raises MaskError where a placeholder hides one."""
    control = _control_tokens(tokenizer)
    cut = control.sub(lambda found: found[0] + _CUT, text)
    # Formats that move the picture close the gap that it leaves.
    if PLACEHOLDER in cut and control.search(cut.replace(PLACEHOLDER, "")):
        raise MaskError(f"a control token stands around {PLACEHOLDER}")
    return cut


def _check_answer(tokenizer: PreTrainedTokenizerFast, text: str, number: int) -> None:
    found = _control_tokens(tokenizer).search(text)
    if found:
        raise MaskError(
            f"turn {number}: the answer holds a control token of the tokenizer at character {found.start()}"
        )
    for forbidden in (PLACEHOLDER, _CUT):
        if forbidden in text:
            raise MaskError(f"turn {number}: the answer holds {forbidden!a}")


def _control_tokens(tokenizer: PreTrainedTokenizerFast) -> re.Pattern[str]:
    untyped: Any = tokenizer
    return _control_pattern(tokenizer, untyped.chat_template or "", len(untyped))


@lru_cache(maxsize=16)
def _control_pattern(tokenizer: PreTrainedTokenizerFast, template: str, _size: int) -> re.Pattern[str]:
    """Matches the first character of every token that means more than its letters, those that overlap too."""
    added: Any = tokenizer.added_tokens_decoder
    words = {
        token.content
        for token in added.values()
        if (token.special or token.content in template) and len(token.content) > 1 and not token.content.isspace()
    } - {PLACEHOLDER}
    if not words:
        return re.compile(r"(?!)")
    alternatives = "|".join(map(re.escape, sorted(words)))
    return re.compile(rf"(?={alternatives}).", re.DOTALL)
