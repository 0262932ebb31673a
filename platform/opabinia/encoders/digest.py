"""What tells two versions of an encoder apart; no torch, since it is asked for where nothing is encoded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from functools import cache
from pathlib import Path

from opabinia.encoders.entry import EncoderEntry
from opabinia.storage.packaged import weights_location


@cache
def weights_digest(entry: EncoderEntry) -> str:
    """16 hex digits that change when the weights or anything about the entry changes."""
    digest = hashlib.sha256(_entry_bytes(entry))
    weights = Path(weights_location(entry.weights)) / "model.safetensors"
    if weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()[:16]


def reading_digest(entry: EncoderEntry) -> str:
    """16 hex digits that change when anything about the entry changes, but not with the weights."""
    return hashlib.sha256(_entry_bytes(entry)).hexdigest()[:16]


def _entry_bytes(entry: EncoderEntry) -> bytes:
    return json.dumps(_stated(entry), sort_keys=True).encode()


def _stated(entry: EncoderEntry) -> dict[str, object]:
    # Without what is left at its default: a field that entries gain later must not make stored features stale.
    values = {field.name: (getattr(entry, field.name), field.default) for field in fields(entry)}
    return {name: value for name, (value, default) in values.items() if value != default}
