"""The catalogue as rows to print."""

from __future__ import annotations

from opabinia.encoders.catalogue import all_encoders
from opabinia.encoders.entry import EncoderEntry
from opabinia.encoders.weight_cache import weights_are_here
from opabinia.names import unknown

_HEADER = ("id", "supervision", "architecture", "pixels", "grid", "width", "parameters", "licence", "weights", "here")


def encoder_rows(family: str = "") -> list[tuple[str, ...]]:
    """A header and one row an encoder, of one family if given. Raises ValueError for a family that no encoder has."""
    entries = all_encoders().values()
    families = {entry.family for entry in entries}
    if family and family not in families:
        raise unknown("family", family, families, place="--family")
    return [_HEADER, *(_row(entry) for entry in entries if family in ("", entry.family))]


def _row(entry: EncoderEntry) -> tuple[str, ...]:
    return (
        entry.id,
        entry.family,
        entry.architecture,
        f"{entry.input_size}",
        f"{entry.grid} x {entry.grid}",
        f"{entry.width}",
        f"{entry.parameters:,}",
        entry.licence,
        entry.weights,
        "yes" if weights_are_here(entry) else "no",
    )
