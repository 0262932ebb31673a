"""Plain data, as a settings file holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

Json = Any
"""Plain data as JSON and YAML hold it; its shape is looked at where it is used."""

FieldPath = tuple[str | int, ...]
"""A dotted path: field names, dictionary keys and places in lists."""

NOTHING: Final[Json] = object()
"""Stands where a document holds nothing, not even null."""


def entry(value: Json, key: str | int) -> Json:
    """Return what stands at a key of a dictionary or a place of a list, or NOTHING."""
    if isinstance(key, int) and isinstance(value, list | tuple):
        items = cast("Sequence[Json]", value)
        return items[key] if 0 <= key < len(items) else NOTHING
    if isinstance(value, dict):
        return cast("dict[str | int, Json]", value).get(key, NOTHING)
    return NOTHING
