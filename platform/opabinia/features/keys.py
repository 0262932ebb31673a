"""What a column of the feature table is called."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opabinia.encoders.catalogue import EncoderEntry
    from opabinia.encoders.pixels import Decoding

PIXELS = 2
"""Raised when the same picture becomes other pixels than before."""


def column_name(entry: EncoderEntry, decoding: Decoding) -> str:
    """The encoder's id with a digest of its weights, its entry and how it gets its pixels: stale features are never found."""
    from opabinia.encoders.digest import weights_digest

    digest = hashlib.sha256(f"{weights_digest(entry)} {PIXELS} {decoding}".encode()).hexdigest()[:16]
    # Lance takes a dot for the path of a nested field; the digest keeps names apart that differ only there.
    return f"{entry.id.replace('.', '_')}@{digest}"
