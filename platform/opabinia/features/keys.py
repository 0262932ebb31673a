"""What a column of the feature table is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opabinia.encoders.catalogue import EncoderEntry


def column_name(entry: EncoderEntry) -> str:
    """The encoder's id with a digest of its weights and its entry, so that stale features are never found."""
    from opabinia.encoders.digest import weights_digest

    # Lance takes a dot for the path of a nested field; the digest keeps names apart that differ only there.
    return f"{entry.id.replace('.', '_')}@{weights_digest(entry)}"
