"""The pictures that a record names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

_NO_IMAGE = frozenset({"", "none", "nan"})


def image_entries(record: Mapping[str, Any]) -> list[object]:
    """What stands under `image`, as a list; null, NaN, "none" and the empty text, which all mean that there is none, are left out."""
    value = record.get("image")
    entries = cast("list[object]", value) if isinstance(value, list) else [value]
    return [entry for entry in entries if not _is_nothing(entry)]


def _is_nothing(entry: object) -> bool:
    if isinstance(entry, str):
        return entry.strip().lower() in _NO_IMAGE
    return entry is None or (isinstance(entry, float) and math.isnan(entry))
