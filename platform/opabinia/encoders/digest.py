"""What tells two versions of an encoder apart; no torch, since it is asked for where nothing is encoded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from opabinia.encoders.catalogue import EncoderEntry
from opabinia.storage.packaged import weights_location


@cache
def weights_digest(entry: EncoderEntry) -> str:
    """16 hex digits that change when the weights or anything about the entry changes."""
    digest = hashlib.sha256(json.dumps(asdict(entry), sort_keys=True).encode())
    weights = Path(weights_location(entry.weights)) / "model.safetensors"
    if weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()[:16]
