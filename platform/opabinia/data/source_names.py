"""The names of data sources, which are written in many ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ENDING = re.compile(r"(_\d+k)?(\.jsonl?)?$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\W_]+")

_BUNDLES: Mapping[str, str] = {"idefics375k": "hfdata"}
"""Sources of Cambrian-10M that hold many, and the folder below which the pictures of each have their own."""


def source_key(name: str) -> str:
    """What tables find a source by: "Inter-GPS", "intergps" and "intergps_1k.json" are one and the same.

    Case, separators, the ending .json or .jsonl and a count before it ("_28k") make no difference.
    """
    return _SEPARATORS.sub("", _ENDING.sub("", name)).casefold() or name.casefold()


def record_source(record: Mapping[str, Any]) -> str:
    """The source that a LLaVA-format record names, or "unknown".

    Of a bundle, it is the data set that the picture comes from: "hfdata/iconqa/1.png" of idefics375k.json is from iconqa.
    """
    named = record.get("source")
    source = named if isinstance(named, str) and named else "unknown"
    image = record.get("image")
    root, _, rest = image.partition("/") if isinstance(image, str) else ("", "", "")
    folder, _, name = rest.partition("/")
    return folder if name and root == _BUNDLES.get(source_key(source)) else source
