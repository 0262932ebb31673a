"""What decides the outcome of each step: settings and input, without what only decides how fast it is had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opabinia.data.instructions.costs import price_table
from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.templates import template_table
from opabinia.data.instructions.topics import TEMPLATE as TOPICS
from opabinia.data.instructions.wiki import WikiConfig

Recipe = dict[str, Any]

# Raise one when the same settings and input come to give something else.
_VERSIONS = {"topics": 1, "pages": 1, "records": 1}

_ASKED = {
    "endpoint": {"model", "temperature", "max_tokens", "body"},
    "asking": {"attempts", "unanswered_limit"},
    "date": True,
    "filters": True,
}
_WRITTEN = {"licences", "shard_size", "words_at_least", "context_words", "page_source"}
_FOUND = {"api_url", "pages_per_topic", "picture_width", "skip"}


def topics_recipe(settings: InstructionConfig, fields: Path) -> Recipe:
    """Of the topics of the fields in a file."""
    template = template_table(settings.templates).named(TOPICS)
    asked = {"template": template.digest, "topics": settings.topics, "fields": digest([fields])}
    return _recipe("topics", settings, asked)


def pages_recipe(wiki: WikiConfig, topics: Sequence[str]) -> Recipe:
    """Of the pages about topics."""
    names = hashlib.sha256(json.dumps(list(topics)).encode()).hexdigest()
    return {"version": _VERSIONS["pages"], "wiki": wiki.model_dump(mode="json", include=_FOUND), "topics": names}


def records_recipe(settings: InstructionConfig, files: Sequence[Path]) -> Recipe:
    """Of the records about what JSONL files hold."""
    written = settings.model_dump(mode="json", include=_WRITTEN)
    table = template_table(settings.templates).model_dump(mode="json")
    names = [file.name for file in files]
    return _recipe("records", settings, {**written, "templates": table, "files": names, "content": digest(files)})


def digest(files: Sequence[Path]) -> list[str]:
    """sha256 of what each file holds."""
    return [_digest(file) for file in files]


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _recipe(step: str, settings: InstructionConfig, more: Recipe) -> Recipe:
    asked = settings.model_dump(mode="json", include=_ASKED)
    prices = price_table(settings.prices).model_dump(mode="json")
    return {"version": _VERSIONS[step], **asked, "prices": prices, **more}
