"""Answers that are JSON: finding it in a text, and reading labelled texts or items out of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

Kind = Literal["question", "answer", "description"]

_FENCE = re.compile(r"```(?:\w+)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_KEY = re.compile(r"(question|answer|q|a|description|findings|report)[ _]*(\d+)?", re.IGNORECASE)
_KINDS: dict[str, Kind] = {"q": "question", "a": "answer", "findings": "description", "report": "description"}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what it is. number: from 1, None when it has none."""

    kind: Kind
    number: int | None
    text: str


def kind_of(label: str) -> Kind:
    """What a label stands for: "Q" and "Question" are the same."""
    return _KINDS.get(label.casefold(), cast("Kind", label.casefold()))


def load_json(text: str) -> tuple[Any, bool]:
    """(the list or object that a text holds, or None; whether it means to hold one)."""
    fenced = _FENCE.search(text)
    body = (fenced[1] if fenced else text).strip()
    if not body.startswith(("{", "[")):
        return None, False
    try:
        document: Any = json.JSONDecoder(strict=False).raw_decode(body)[0]
    except (ValueError, RecursionError):
        return None, True
    return document, True


def labelled_in(document: Any) -> list[Labelled]:
    """The questions, answers and descriptions of a document, in its order.

    [{"question", "answer"}, …], the same below any key, or {"Q1": …, "A1": …}; each entry of a list has the number of its place.
    """
    if isinstance(document, list):
        entries = cast("list[Any]", document)
        return [part for place, entry in enumerate(entries, start=1) for part in _of_entry(entry, place)]
    found = list[Labelled]()
    for key, value in cast("dict[str, Any]", document).items():
        if isinstance(value, list | dict):
            found += labelled_in(value)
        elif label := _KEY.fullmatch(key.strip()):
            found.append(Labelled(kind_of(label[1]), int(label[2]) if label[2] else None, str(value)))
    return found


def items_in(document: Any) -> list[str]:
    """The texts of a list, or of the lists that an object holds; of an object in a list, its first text."""
    if isinstance(document, dict):
        values = cast("dict[str, Any]", document).values()
        return [item for value in values if isinstance(value, list | dict) for item in items_in(value)]
    return [text for entry in cast("list[Any]", document) for text in _first_text(entry)]


def _of_entry(entry: Any, place: int) -> list[Labelled]:
    if isinstance(entry, list) and len(cast("list[Any]", entry)) == 2:
        question, answer = cast("list[Any]", entry)
        return [Labelled("question", place, str(question)), Labelled("answer", place, str(answer))]
    parts = labelled_in(entry) if isinstance(entry, dict) else []
    return [Labelled(part.kind, place, part.text) for part in parts]


def _first_text(entry: Any) -> list[str]:
    if isinstance(entry, dict):
        return [text for text in cast("dict[str, Any]", entry).values() if isinstance(text, str)][:1]
    return [entry] if isinstance(entry, str) else []
