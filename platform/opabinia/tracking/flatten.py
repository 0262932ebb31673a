"""Settings trees as MLflow parameters, and names that MLflow accepts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, cast

MAX_VALUE = 6000
"""Longest value of a parameter, characters (MLflow's limit)."""
MAX_KEY = 250
"""Longest name of a parameter, metric or tag, characters (MLflow's limit)."""

_CUT = "… (cut)"


def flatten(settings: object) -> dict[str, str]:
    """Dotted names and text values of a tree of mappings, sequences, dataclasses and pydantic models.

    {"stages": [{"lr": 0.1}]} becomes {"stages.0.lr": "0.1"}; a list of plain values is one parameter, "a, b". Values
    are written as in YAML (null, true) and cut at MLflow's limit with a visible mark.
    """
    flat: dict[str, str] = {}
    for path, leaf in _leaves(settings, ()):
        key = clean_name(".".join(path) or "value")
        # Two names may clean to the same one; both must be kept.
        while key in flat:
            key = clean_name(f"{key}_")
        flat[key] = _shorten(_write(leaf), MAX_VALUE)
    return flat


def clean_name(name: str) -> str:
    """The name with every character that MLflow refuses replaced, and cut to its limit with a digest to stay unique."""
    cleaned = re.sub(r"[^/\w.\- :]", "_", name)
    if posixpath.normpath(cleaned) != cleaned or cleaned.startswith((".", "/")):
        cleaned = re.sub(r"[./]{2,}|^[./]+|/$", "_", cleaned) or "_"
    if len(cleaned) <= MAX_KEY:
        return cleaned
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{cleaned[: MAX_KEY - 9]}-{digest}"


def _leaves(node: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    children = _children(node)
    if children is None:
        yield path, node
        return
    for name, child in children:
        yield from _leaves(child, (*path, name))


def _children(node: object) -> list[tuple[str, object]] | None:
    """The named parts of a node, or None where it is one value."""
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
    if hasattr(node, "model_dump"):
        node = cast("Any", node).model_dump()
    if isinstance(node, Mapping):
        items = cast("Mapping[object, object]", node).items()
        return [(str(name), child) for name, child in items] or None
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        parts = cast("Sequence[object]", node)
        if any(_children(part) is not None for part in parts):
            return [(str(index), part) for index, part in enumerate(parts)]
    return None


def _write(leaf: object) -> str:
    if isinstance(leaf, Enum):
        return str(leaf.value)
    if leaf is None or isinstance(leaf, bool) or leaf in ({}, [], ()):
        return json.dumps(leaf)
    if isinstance(leaf, Sequence) and not isinstance(leaf, str | bytes):
        return ", ".join(_write(part) for part in cast("Sequence[object]", leaf))
    return str(leaf)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT
