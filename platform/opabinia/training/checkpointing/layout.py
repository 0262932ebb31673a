"""Which checkpoints lie below an address. A folder without a manifest is none, whatever else it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from opabinia.storage.addresses import ObjectAddress, join_address, parse_address
from opabinia.storage.failures import clear_local_errors
from opabinia.storage.folders import list_files
from opabinia.storage.patterns import has_wildcard
from opabinia.training.checkpointing.manifest import MANIFEST, read_manifest

_FOLDER = re.compile(r"step-(\d{8,})-(temporary|permanent)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint: the address of its folder, and what the folder's name tells."""

    address: str
    step: int
    permanent: bool


def check_address(address: str | Path) -> str:
    """The address as text. Raises ValueError when checkpoints cannot lie below it."""
    place = parse_address(address)
    if isinstance(place, ObjectAddress) and has_wildcard(place.key):
        raise ValueError(f"{address}: holds one of * ? [, by which nothing can be found again; choose another address")
    return str(place)


def new_folder(address: str | Path, step: int, permanent: bool) -> str:
    """A folder below `address` that nobody else writes to, not even a former attempt at the same step that still lives."""
    kind = "permanent" if permanent else "temporary"
    return join_address(address, f"step-{step:08d}-{kind}-{token_hex(4)}")


def checkpoint_at(folder: str) -> Checkpoint:
    """The checkpoint in a folder that `new_folder` named."""
    _, step, kind, _ = folder.rsplit("/", maxsplit=1)[-1].split("-")
    return Checkpoint(folder, int(step), kind == "permanent")


def list_checkpoints(address: str | Path) -> list[Checkpoint]:
    """All complete ones below `address`, by step. Raises ValueError when that cannot be told; there is none where nothing is."""
    complete = [join_address(address, name) for name, has_manifest in _folders(address).items() if has_manifest]
    return sorted(map(checkpoint_at, complete), key=lambda found: (found.step, found.address))


def latest_checkpoint(address: str | Path) -> Checkpoint | None:
    """The complete one of the highest step, None when there is none; of several of one step, the one written last."""
    found = list_checkpoints(address)
    newest = [checkpoint for checkpoint in found if checkpoint.step == found[-1].step]
    if len(newest) < 2:
        return newest[0] if newest else None
    return max(newest, key=lambda checkpoint: read_manifest(checkpoint.address).saved_at)


def list_incomplete(address: str | Path) -> list[str]:
    """The folders of checkpoints that were begun and not finished, or half removed."""
    return [join_address(address, name) for name, has_manifest in _folders(address).items() if not has_manifest]


def _folders(address: str | Path) -> dict[str, bool]:
    """The folders below `address` named like checkpoints -> whether they hold a manifest."""
    place = parse_address(address)
    found = _local_folders(place) if isinstance(place, Path) else _remote_folders(place)
    return {name: has_manifest for name, has_manifest in sorted(found.items()) if _FOLDER.fullmatch(name)}


def _local_folders(place: Path) -> dict[str, bool]:
    with clear_local_errors(place, "list"):
        if not place.is_dir():
            return {}
        return {entry.name: (entry / MANIFEST).is_file() for entry in place.iterdir() if entry.is_dir()}


def _remote_folders(place: ObjectAddress) -> dict[str, bool]:
    start = f"{str(place).rstrip('/')}/"
    found: dict[str, bool] = {}
    for file in list_files(start):
        name, _, inside = file.removeprefix(start).partition("/")
        found[name] = found.get(name, False) or inside == MANIFEST
    return found
