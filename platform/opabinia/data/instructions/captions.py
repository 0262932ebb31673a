"""Captions of pictures, as subjects of prompts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from opabinia.data.instructions.settings import InstructionConfig
from opabinia.data.instructions.subjects import Rejection, Subject, licence_of
from opabinia.data.instructions.templates import TemplateTable
from opabinia.data.records import image_entries
from opabinia.data.shards import read_lines
from opabinia.data.source_names import record_source

_OURS = frozenset({"id", "image", "source", "licence", "license", "conversations", "provenance"})


def caption_subjects(
    files: Iterable[Path], table: TemplateTable, settings: InstructionConfig
) -> Iterator[Subject | Rejection]:
    """The records of JSONL files in order.

    A record is {id, image, caption, source, licence} with further texts that its template may name (context, findings, history), or
    a LLaVA record, whose first answer is the caption. Raises ValueError when a source has no licence or no template.
    """
    for file in files:
        for number, line in read_lines(file):
            yield _subject(line, f"{file.name}:{number}", table, settings)


def _subject(line: str, place: str, table: TemplateTable, settings: InstructionConfig) -> Subject | Rejection:
    try:
        line.encode()
        record: Any = json.loads(line)
        json.dumps(record, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return Rejection(place, "unknown", "not valid JSON in UTF-8")
    if not isinstance(record, dict):
        return Rejection(place, "unknown", "not a JSON object")
    return _from_record(cast("dict[str, Any]", record), place, table, settings)


def _from_record(
    record: dict[str, Any], place: str, table: TemplateTable, settings: InstructionConfig
) -> Subject | Rejection:
    source, images = record_source(record), [entry for entry in image_entries(record) if isinstance(entry, str)]
    if not images:
        return Rejection(place, source, "it names no image")
    if len(images) > 1:
        return Rejection(place, source, f"it names {len(images)} images, and a caption is about one")
    texts = _texts(record)
    if "caption" not in texts and (caption := _first_answer(record)):
        texts["caption"] = caption
    name = table.name_for(source)
    try:
        table.named(name).prompt(texts)
    except ValueError as error:
        return Rejection(place, source, str(error))
    licence = licence_of(record.get("licence", record.get("license")), source, settings)
    identity = place if record.get("id") is None else str(record["id"])
    return Subject(identity, source, images[0], licence, texts, name, {})


def _texts(record: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in record.items() if isinstance(value, str) and name not in _OURS}


def _first_answer(record: Mapping[str, Any]) -> str:
    turns: Any = record.get("conversations")
    for turn in cast("list[Any]", turns) if isinstance(turns, list) else []:
        fields = cast("dict[str, Any]", turn) if isinstance(turn, dict) else {}
        if fields.get("from") in ("gpt", "assistant") and isinstance(fields.get("value"), str):
            return fields["value"]
    return ""
