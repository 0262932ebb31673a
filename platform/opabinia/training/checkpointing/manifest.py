"""What says that a checkpoint is complete: a small JSON, written after everything else, that vouches for all other files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import Field, ValidationError

from opabinia.config import Config
from opabinia.storage.addresses import join_address
from opabinia.storage.objects import read_bytes, whole_object

MANIFEST = "manifest.json"
FORMAT = 1

_PACKAGES = ("opabinia", "torch")


class FileEntry(Config):
    """One file of a checkpoint."""

    bytes: int = Field(ge=0)
    sha256: str


class Manifest(Config):
    """The content of manifest.json, which also holds the SHA-256 of itself.

    saved_at: when it was written, ISO 8601 in UTC.
    workers: how many processes wrote it.
    frozen: modules whose weights it does not hold -> digest of those weights.
    facts: the data position and whatever else the run needs to know to go on.
    """

    format: int = FORMAT
    step: int = Field(ge=0)
    saved_at: str
    workers: int = Field(gt=0)
    versions: dict[str, str]
    frozen: dict[str, str]
    facts: dict[str, Any]
    files: dict[str, FileEntry]


def entry_of(content: bytes) -> FileEntry:
    return FileEntry(bytes=len(content), sha256=sha256(content).hexdigest())


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Make the checkpoint in `folder` complete."""
    fields = manifest.model_dump(mode="json")
    with whole_object(join_address(folder, MANIFEST)) as handle:
        handle.write(json.dumps({**fields, "sha256": _digest(fields)}, indent=1, allow_nan=False).encode() + b"\n")


def read_manifest(folder: str) -> Manifest:
    """Raises ValueError when it is missing, damaged, or of another format than this version reads."""
    address = join_address(folder, MANIFEST)
    try:
        fields = json.loads(read_bytes(address))
        digest = fields.pop("sha256")
        if fields["format"] != FORMAT:
            raise ValueError(f"{address}: format {fields['format']} is not {FORMAT}; use the version that wrote it")
        intact = _digest(fields) == digest
        manifest = Manifest.model_validate(fields) if intact else None
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, AttributeError, KeyError, TypeError):
        manifest = None
    if manifest is None:
        raise ValueError(f"{address}: it is damaged; remove {folder} to go on from the checkpoint before it")
    return manifest


def read_entry(folder: str, name: str, entry: FileEntry) -> bytes:
    """A small file of the checkpoint. Raises ValueError naming it when its bytes are not those that were saved."""
    content = read_bytes(join_address(folder, name))
    check_entry(folder, name, entry, FileEntry(bytes=len(content), sha256=sha256(content).hexdigest()))
    return content


def check_entry(folder: str, name: str, saved: FileEntry, found: FileEntry) -> None:
    """Raises ValueError naming the file when it is not the one that was saved."""
    if saved == found:
        return
    what = (
        f"it has {found.bytes} bytes instead of {saved.bytes}"
        if saved.bytes != found.bytes
        else "its SHA-256 is not that of what was saved"
    )
    raise ValueError(
        f"{join_address(folder, name)}: damaged: {what}; remove {folder} to go on from the checkpoint before it"
    )


def now() -> str:
    return datetime.now(UTC).isoformat()


def versions() -> dict[str, str]:
    return {name: _installed(name) for name in _PACKAGES}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _digest(fields: dict[str, Any]) -> str:
    return sha256(json.dumps(fields, sort_keys=True, allow_nan=False).encode()).hexdigest()
