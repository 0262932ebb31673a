"""One LLaVA-format line: what it must hold, and the one-line reason when it does not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, cast

PLACEHOLDER = "<image>"

Role = Literal["user", "assistant"]

_ROLES: Mapping[str, Role] = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
_TEXT_ONLY = frozenset({"", "none", "nan"})


class RecordError(ValueError):
    """A line that cannot be trained on; the message is the reason alone, one line, without file or line number."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation; `text` may hold the image placeholder when the role is "user"."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """A validated conversation. `images` are relative to the source's images folder, in the order of their placeholders."""

    id: str
    images: tuple[str, ...]
    turns: tuple[Turn, ...]
    source: str
    file: str
    line: int


def parse_record(line: str, file: str, number: int) -> Record:
    """Read one JSONL line; `file` and `number` (from 1) say where it stands. Raises RecordError with the reason."""
    fields = _parse_object(line)
    images = tuple(_parse_image(entry) for entry in image_entries(fields))
    turns = _parse_turns(fields.get("conversations"))
    _check_placeholders(turns, images)
    identity, source = fields.get("id"), fields.get("source")
    return Record(
        id=f"{file}:{number}" if identity is None else str(identity),
        images=images,
        turns=turns,
        source=source if isinstance(source, str) and source else "unknown",
        file=file,
        line=number,
    )


def _parse_object(line: str) -> dict[str, Any]:
    try:
        # A lone surrogate is what an undecodable byte or a broken \u escape leaves behind; Arrow cannot store it.
        line.encode("utf-8")
        fields = json.loads(line)
        if "\\u" in line:
            json.dumps(fields, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise RecordError("not valid UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RecordError(f"not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not valid JSON: {type(error).__name__}") from None
    if not isinstance(fields, dict):
        raise RecordError(f"expected a JSON object, got {type(fields).__name__}")
    return cast(dict[str, Any], fields)


def image_entries(fields: Mapping[str, Any]) -> list[object]:
    """What stands under `image`, as a list; null, NaN, "none" and the empty text, which all mean that there is none, are left out."""
    value = fields.get("image")
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    return [entry for entry in entries if not _is_nothing(entry)]


def _is_nothing(entry: object) -> bool:
    if isinstance(entry, str):
        return entry.strip().lower() in _TEXT_ONLY
    return entry is None or (isinstance(entry, float) and math.isnan(entry))


def _parse_image(value: object) -> str:
    if not isinstance(value, str):
        raise RecordError(f"image must be a path or a list of paths, got {type(value).__name__}")
    # Lexical on purpose: links that the owner placed inside the images folder are theirs to place.
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or "\0" in value:
        raise RecordError(f"image path {value!r} leaves the images folder")
    return value


def _parse_turns(value: object) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        raise RecordError("conversations are missing or not a list of turns")
    turns = tuple(_parse_turn(turn, index) for index, turn in enumerate(cast(list[object], value), start=1))
    for index, turn in enumerate(turns, start=1):
        expected: Role = "user" if index % 2 else "assistant"
        if turn.role != expected:
            raise RecordError(f"turn {index} must be from the {expected}, got {turn.role}: roles alternate, user first")
    if len(turns) % 2:
        raise RecordError(f"the last turn ({len(turns)}) is a question without an answer")
    return turns


def _parse_turn(value: object, index: int) -> Turn:
    if not isinstance(value, dict):
        raise RecordError(f"turn {index} must be an object with 'from' and 'value', got {type(value).__name__}")
    fields = cast(dict[str, object], value)
    speaker, text = fields.get("from"), fields.get("value")
    role = _ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise RecordError(f"turn {index} has role {speaker!r}; known roles: human, gpt")
    if not isinstance(text, str):
        raise RecordError(f"turn {index} has no text in 'value'")
    if not text.strip():
        raise RecordError(f"turn {index} is empty")
    return Turn(role, text)


def _check_placeholders(turns: tuple[Turn, ...], images: tuple[str, ...]) -> None:
    found = sum(turn.text.count(PLACEHOLDER) for turn in turns)
    if found != len(images):
        raise RecordError(f"{found} {PLACEHOLDER} placeholders for {len(images)} image(s)")
    if any(PLACEHOLDER in turn.text for turn in turns if turn.role == "assistant"):
        raise RecordError(f"the {PLACEHOLDER} placeholder stands in an answer, not in a question")
