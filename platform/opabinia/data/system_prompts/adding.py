"""Adding response-format prompts to a record's question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from opabinia.data.records import PLACEHOLDER
from opabinia.data.source_names import record_source, source_key
from opabinia.data.system_prompts.table import PromptTable

_LETTERED = re.compile(r"(?<!\w)\(?A[.:)]\s*\S.*?(?<!\w)\(?B[.:)]\s*\S", re.DOTALL)
"""Choices as "A. …", "(A) …" or "A: …", with another after the first."""


def add_prompts(record: Mapping[str, Any], table: PromptTable) -> dict[str, Any]:
    """The record with its source's prompts at the end of the first question, each on a line of its own; a new dictionary.

    There, because LLaVA-1.5's data, which Cambrian's follow, write the wanted format once, after the first question of a
    conversation, and the benchmarks put the same sentences after theirs. The system text is left to the conversation format: it is
    the same for all records of a model.

    A prompt that the question holds already is not added again. A record of a source that the table does not list is returned as it is.
    """
    prompts = table.by_source.get(source_key(record_source(record)))
    turns = cast("Sequence[Any]", record.get("conversations") or ())
    first = cast("Mapping[str, Any]", turns[0] if turns and isinstance(turns[0], dict) else {})
    question = first.get("value")
    if prompts is None or not isinstance(question, str):
        return dict(record)
    kinds = (*prompts.always, *(prompts.choices if _LETTERED.search(question) else prompts.open))
    asked = {**first, "value": _asked(question, [table.kinds[kind] for kind in kinds])}
    return {**record, "conversations": [asked, *turns[1:]]}


def _asked(question: str, sentences: Sequence[str]) -> str:
    # A picture that stands last stays last, so that no sentence is parted from the question.
    picture = f"\n{PLACEHOLDER}"
    tail = picture if question.endswith(picture) else ""
    text = question.removesuffix(tail)
    for sentence in sentences:
        if sentence not in text:
            text = f"{text.rstrip()}\n{sentence}"
    return text + tail
