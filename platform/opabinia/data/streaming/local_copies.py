"""Shards that lie in a bucket, copied once to each machine that reads them, because single records are read at random."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from opabinia.storage.addresses import parse_address
from opabinia.storage.objects import copy_file

LIMIT_VARIABLE = "OPABINIA_SHARD_CACHE_GB"
_LIMIT_GB = 20.0


def local_copy(address: str, size: int) -> Path:
    """The shard as a local file: itself, or a copy of it, which is used again while there is room for it.

    The copies that were not used for longest are removed when they take more than OPABINIA_SHARD_CACHE_GB (20).
    Raises ValueError when it cannot be read, or has not `size` bytes any more.
    """
    place = parse_address(address)
    if isinstance(place, Path):
        return _checked(place, address, size)
    copy = _folder() / hashlib.sha256(f"{address}\0{size}".encode()).hexdigest()
    if not copy.exists():
        _remove_oldest(copy.parent, size)
        copy_file(address, copy)
    with suppress(FileNotFoundError):
        os.utime(copy)
    return _checked(copy, address, size)


def _checked(file: Path, address: str, size: int) -> Path:
    try:
        found = file.stat().st_size
    except FileNotFoundError:
        raise ValueError(f"{address}: was there when the data were audited and is missing now; restore it") from None
    if found != size:
        raise ValueError(f"{address}: had {size} bytes when it was audited and has {found} now; start the job anew")
    return file


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"opabinia-shards-{os.getuid()}"


def _remove_oldest(folder: Path, needed: int) -> None:
    room = float(os.environ.get(LIMIT_VARIABLE, _LIMIT_GB)) * 2**30 - needed
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copies = sorted(((file.stat(), file) for file in folder.glob("[!.]*")), key=lambda entry: -entry[0].st_mtime)
    for facts, file in copies:
        room -= facts.st_size
        if room < 0:
            file.unlink(missing_ok=True)
