"""Taking checkpoints away, so that none is ever half there: its manifest goes first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

from opabinia.storage.addresses import ObjectAddress, join_address, parse_address
from opabinia.storage.clients import asking
from opabinia.storage.folders import list_files
from opabinia.storage.objects import exists
from opabinia.training.checkpointing.layout import Checkpoint, list_checkpoints, list_incomplete
from opabinia.training.checkpointing.manifest import MANIFEST


def remove_folder(folder: str) -> None:
    """Remove a checkpoint, complete or not. Raises ValueError when something of it stays."""
    place = parse_address(folder)
    if isinstance(place, Path):
        _remove_local(place)
        return
    manifest = join_address(folder, MANIFEST)
    for file in [manifest, *(file for file in list_files(f"{folder}/") if file != manifest)]:
        _remove_object(cast(ObjectAddress, parse_address(file)))


def remove_unless_complete(folder: str) -> None:
    """Remove what a failed write left. It is complete where only the news of it failed. Raises ValueError like the above."""
    if not exists(join_address(folder, MANIFEST)):
        remove_folder(folder)


def remove_incomplete(address: str | Path) -> None:
    """Remove what killed writers left below `address`, where nobody else may be writing. Raises ValueError like the above."""
    for folder in list_incomplete(address):
        remove_folder(folder)


def remove_superseded(address: str | Path, by: Checkpoint) -> None:
    """Remove the temporary checkpoints that a later complete one replaces. Raises ValueError like the above."""
    for checkpoint in list_checkpoints(address):
        if not checkpoint.permanent and checkpoint.step <= by.step and checkpoint.address != by.address:
            remove_folder(checkpoint.address)


def _remove_local(folder: Path) -> None:
    try:
        (folder / MANIFEST).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}"
        raise ValueError(f"{folder}: cannot be removed ({reason}); give this user the right to write there") from error


def _remove_object(place: ObjectAddress) -> None:
    with asking(place, "write") as client:
        cast(Any, client).delete_object(Bucket=place.bucket, Key=place.key)
