"""Encoders of installed packages, found through the entry-point group `opabinia.encoders`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from opabinia.encoders.entry import EncoderEntry

GROUP = "opabinia.encoders"


@cache
def installed_entries() -> dict[str, EncoderEntry]:
    """Entries by id. Raises ValueError for a value that is neither an entry nor a list of them, and for an id given twice."""
    found = dict[str, EncoderEntry]()
    for point in entry_points(group=GROUP):
        for entry in _entries(point):
            if entry.id in found:
                raise ValueError(f"encoder {entry.id}: given twice by installed packages; rename one of them")
            found[entry.id] = entry
    return found


def _entries(point: EntryPoint) -> list[EncoderEntry]:
    value: object = point.load()
    given = cast("list[object]", value) if isinstance(value, list) else [value]
    entries = [entry for entry in given if isinstance(entry, EncoderEntry)]
    if not entries or len(entries) != len(given):
        raise ValueError(f"entry point {point.name} = {point.value}: not an EncoderEntry or a list of them; correct it")
    return entries
