"""Whether an answer can be used, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from opabinia.data.instructions.client import Answer
from opabinia.data.instructions.filters import FilterConfig, check_refusal, keep_pairs, text_fault
from opabinia.data.instructions.parsing import (
    AnswerError,
    Pair,
    Parsed,
    clean,
    parse_list,
    parse_pairs,
    without_thoughts,
)
from opabinia.data.instructions.requests import Form


@dataclass(frozen=True, slots=True)
class Content:
    """What was asked for: a description, pairs, or the items of a list; what the form does not ask for is empty."""

    description: str
    pairs: tuple[Pair, ...]
    items: tuple[str, ...] = ()


def judge(answer: Answer, form: Form, filters: FilterConfig) -> Content:
    """What an answer holds. Raises AnswerError with the reason when it cannot be used."""
    if answer.ending == "length":
        raise AnswerError("it was cut off because it was too long")
    if answer.ending == "content_filter":
        raise AnswerError("the endpoint withheld it", again=False)
    if not without_thoughts(answer.text):
        raise AnswerError("it was empty")
    check_refusal(without_thoughts(answer.text), filters)
    if form.kind == "list":
        return _list(answer.text, form)
    return _pairs(_parsed(answer.text, form), form, filters)


def _list(text: str, form: Form) -> Content:
    items = tuple(dict.fromkeys(parse_list(text)))
    if len(items) < form.least:
        raise AnswerError(f"it holds {len(items)} items, not {form.least}")
    return Content("", (), items[: form.most])


def _parsed(text: str, form: Form) -> Parsed:
    parsed = parse_pairs(text)
    if form.description and not form.most and not parsed.description:
        return Parsed(clean(without_thoughts(text)), ())
    return parsed


def _pairs(parsed: Parsed, form: Form, filters: FilterConfig) -> Content:
    if form.description and not parsed.description:
        raise AnswerError("it holds no description")
    description = parsed.description if form.description else ""
    if fault := text_fault(description, filters):
        raise AnswerError(f"the description: {fault}")
    pairs, reason = keep_pairs(parsed.pairs, filters)
    if len(pairs) < form.least:
        because = f" ({reason})" if reason else ""
        raise AnswerError(f"it holds {len(pairs)} usable pairs, not {form.least}{because}")
    return Content(description, tuple(pairs[: form.most]))
