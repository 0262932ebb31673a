"""The vision encoders an experiment file can name, as data: those that ship here, and those of installed packages."""

from __future__ import annotations

from opabinia.encoders.catalogue import burgess, cambrian, eagle, modern
from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.plugins import installed_entries
from opabinia.names import unknown

__all__ = ["CATALOGUE", "EncoderEntry", "all_encoders", "find_encoder"]

CATALOGUE: dict[str, EncoderEntry] = {
    entry.id: entry for entry in (*burgess.ENTRIES, *cambrian.ENTRIES, *eagle.ENTRIES, *modern.ENTRIES)
}


def all_encoders() -> dict[str, EncoderEntry]:
    """The catalogue and the entries of installed packages. Raises ValueError where one of those is no entry or not new."""
    entries = installed_entries()
    taken = sorted(CATALOGUE.keys() & entries.keys())
    if taken:
        raise ValueError(
            f"encoder {taken[0]}: an installed package gives an id that the catalogue has; rename it there"
        )
    return {**CATALOGUE, **entries}


def find_encoder(name: str, place: str = "") -> EncoderEntry:
    """The entry with this id. Raises ValueError with the nearest known id; `place` is the field that named it."""
    # Looking through installed packages takes a moment, which those who name an encoder from here need not wait.
    if name in CATALOGUE:
        return CATALOGUE[name]
    known = all_encoders()
    if name not in known:
        raise unknown("vision encoder", name, known, place=place)
    return known[name]
