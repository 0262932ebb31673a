"""What a record is compared by: the text of its turns and the names of its pictures."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

from opabinia.data.records import image_entries


def text_number(record: Mapping[str, Any]) -> int:
    """64 bits of the blake2b of all turns, with who said them; case, kinds of spaces and Unicode forms make no difference.

    Two different texts among 10^7 share a number with a probability of 3 in a million.
    """
    digest = hashlib.blake2b(digest_size=8)
    for turn in cast("list[Mapping[str, Any]]", record.get("conversations") or []):
        for part in (turn.get("from"), turn.get("value")):
            digest.update(_plain(str(part)).encode("utf-8", errors="surrogatepass") + b"\0")
    return int.from_bytes(digest.digest(), "little")


def picture_names(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of a record's pictures, one or a list; none for text alone."""
    return tuple(entry for entry in image_entries(record) if isinstance(entry, str))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
