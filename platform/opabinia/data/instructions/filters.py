"""Answers that are no answers, and pairs that betray that they were written from a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pydantic import Field

from opabinia.config import Config
from opabinia.data.instructions.parsing import AnswerError, Pair
from opabinia.data.records import PLACEHOLDER

_REFUSALS = (
    "as an ai",
    "as a language model",
    "as a large language model",
    "i am sorry",
    "i'm sorry",
    "i apologize",
    "i cannot",
    "i can't",
    "i can not",
    "i am unable",
    "i'm unable",
    "i am not able",
    "i'm not able",
    "i won't",
    "i don't have access",
    "i do not have access",
    "unfortunately, i",
)
_GIVEAWAYS = (
    "caption",
    "captions",
    "the provided text",
    "the given text",
    "the text above",
    "the passage",
    "the provided context",
    "the given context",
    "the provided information",
    "the provided description",
    "according to the text",
    "mentioned in the text",
)


class FilterConfig(Config):
    """Phrases that decide what is dropped; capitals and the kind of apostrophe make no difference."""

    refusals: tuple[str, ...] = _REFUSALS
    """An answer that begins with one of these refuses: all of it when it begins so, else the one pair."""

    giveaways: tuple[str, ...] = _GIVEAWAYS
    """A pair that holds one of these speaks of the text that the model was shown instead of the picture."""

    longest_words: int = Field(default=400, ge=1)
    """Most words of one answer or description."""


def is_refusal(text: str, filters: FilterConfig) -> bool:
    """Whether a text begins by refusing."""
    return bool(filters.refusals) and _pattern(filters.refusals).match(_plain(text)) is not None


def keep_pairs(pairs: Sequence[Pair], filters: FilterConfig) -> tuple[list[Pair], str]:
    """The pairs that can be used, each question once, and why the last of the others cannot ("" when all can)."""
    kept, seen, reason = list[Pair](), set[str](), ""
    for pair in pairs:
        question = _plain(pair.question)
        if fault := pair_fault(pair, filters) or ("a question stands there twice" if question in seen else ""):
            reason = fault
            continue
        seen.add(question)
        kept.append(pair)
    return kept, reason


def pair_fault(pair: Pair, filters: FilterConfig) -> str:
    """Why a pair cannot be used, "" when it can."""
    if is_refusal(pair.answer, filters):
        return "an answer refuses"
    return text_fault(pair.question, filters) or text_fault(pair.answer, filters)


def text_fault(text: str, filters: FilterConfig) -> str:
    """Why a text cannot stand in a conversation about a picture, "" when it can."""
    if PLACEHOLDER in text:
        return f"it holds {PLACEHOLDER}"
    if len(text.split()) > filters.longest_words:
        return f"it has more than {filters.longest_words} words"
    if filters.giveaways and (found := _pattern(filters.giveaways).search(_plain(text))):
        return f'it speaks of "{found[0]}", which one who sees the picture alone does not have'
    return ""


def check_refusal(text: str, filters: FilterConfig) -> None:
    """Raise AnswerError, final, when a whole answer refuses."""
    if is_refusal(text, filters):
        raise AnswerError("the model refuses", again=False)


@lru_cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(_plain(phrase)) for phrase in phrases)})(?!\w)")


def _plain(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").casefold().split()).lstrip("*_#> ")
