"""Steps of preparing data: each is run once for what goes into it, and found again by the hash of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from opabinia.storage.atomic import whole_folder

_DIGITS = 16
_CHUNK_BYTES = 2**20


def run_step(root: Path, name: str, recipe: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
    """The folder `root/name-<hash of recipe>`, which `make` fills unless it is there already.

    recipe: everything that decides what the step writes, as JSON: its settings, a version of its code, and the names of the folders
    or the fingerprints of the files it reads. The folder appears whole or not at all, so its being there means that it is done. It
    holds the recipe as step.json.
    """
    content = json.dumps(recipe, sort_keys=True, indent=1)
    folder = root / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"
    if not folder.is_dir():
        with whole_folder(folder) as draft:
            make(draft)
            (draft / "step.json").write_text(content + "\n")
    return folder


def fingerprint(contents: Iterable[BinaryIO]) -> str:
    """16 hex digits of what the streams hold, and of where one ends and the next begins."""
    digest = hashlib.sha256()
    for content in contents:
        size = 0
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        digest.update(f"/{size}/".encode())
    return digest.hexdigest()[:_DIGITS]
