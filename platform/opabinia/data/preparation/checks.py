"""What is wrong with a record: its turns, the pictures it names, and how much there is of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, cast

from opabinia.data.preparation.settings import LimitsConfig
from opabinia.data.records import PLACEHOLDER, image_entries

Kind = Literal[
    "unreadable",
    "schema",
    "roles",
    "placeholders",
    "length",
    "image path",
    "image missing",
    "image broken",
    "image size",
]
"""Which check refused a record: those of the report's summary."""

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}


class Refused(ValueError):
    """A record that is not to be used; the message is the reason alone, one line."""

    def __init__(self, kind: Kind, reason: str) -> None:
        super().__init__(reason)
        self.kind: Kind = kind


def check_record(record: Mapping[str, Any], limits: LimitsConfig) -> tuple[str, ...]:
    """The pictures of a sound record. Raises Refused.

    For records of one picture the rules are those of `parse_record`; here there may be several, as many as placeholders.
    """
    images = _image_paths(record)
    turns = _turns(record.get("conversations"))
    _check_roles([role for role, _ in turns])
    _check_placeholders(turns, len(images))
    if limits.max_images is not None and len(images) > limits.max_images:
        raise Refused("length", f"{len(images)} images, limit max_images = {limits.max_images}")
    words = sum(len(text.split()) for _, text in turns)
    if limits.max_words is not None and words > limits.max_words:
        raise Refused("length", f"{words} words, limit max_words = {limits.max_words}")
    return images


def check_size(width: int, height: int, limits: LimitsConfig) -> str:
    """Why a picture of this many pixels is not to be used, or an empty text."""
    shorter, longer = sorted((width, height))
    if shorter < limits.min_side:
        return f"is {width}×{height} pixels, limit min_side = {limits.min_side}"
    if longer > limits.max_side:
        return f"is {width}×{height} pixels, limit max_side = {limits.max_side}"
    if longer > limits.max_aspect * shorter:
        return f"is {width}×{height} pixels, limit max_aspect = {limits.max_aspect:g}"
    return ""


def _image_paths(record: Mapping[str, Any]) -> tuple[str, ...]:
    entries = image_entries(record)
    for entry in entries:
        if not isinstance(entry, str):
            raise Refused("schema", f"image must be a path or a list of paths, got {type(entry).__name__}")
        path = PurePosixPath(entry)
        if path.is_absolute() or ".." in path.parts or "\\" in entry or "\0" in entry:
            raise Refused("image path", f"image path {entry!r} leaves the images folder")
    return cast("tuple[str, ...]", tuple(entries))


def _turns(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, list) or not value:
        raise Refused("schema", "conversations are missing or not a list of turns")
    return [_turn(turn, number) for number, turn in enumerate(cast("list[object]", value), start=1)]


def _turn(value: object, number: int) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise Refused("schema", f"turn {number} must be an object with 'from' and 'value', got {type(value).__name__}")
    fields = cast("dict[str, object]", value)
    speaker, text = fields.get("from"), fields.get("value")
    role = _ROLES.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise Refused("roles", f"turn {number} has role {speaker!r}; known roles: human, gpt")
    if not isinstance(text, str):
        raise Refused("schema", f"turn {number} has no text in 'value'")
    if not text.strip():
        raise Refused("length", f"turn {number} is empty")
    return role, text


def _check_roles(roles: Sequence[str]) -> None:
    for number, role in enumerate(roles, start=1):
        expected = "user" if number % 2 else "assistant"
        if role != expected:
            raise Refused(
                "roles", f"turn {number} must be from the {expected}, got {role}: roles alternate, user first"
            )
    if len(roles) % 2:
        raise Refused("roles", f"the last turn ({len(roles)}) is a question without an answer")


def _check_placeholders(turns: Sequence[tuple[str, str]], images: int) -> None:
    found = sum(text.count(PLACEHOLDER) for _, text in turns)
    if found != images:
        raise Refused("placeholders", f"{found} {PLACEHOLDER} placeholders for {images} image(s)")
    if any(PLACEHOLDER in text for role, text in turns if role == "assistant"):
        raise Refused("placeholders", f"the {PLACEHOLDER} placeholder stands in an answer, not in a question")
