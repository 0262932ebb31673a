"""Whether there is room for a table of features, and the right to build it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

GB = 10**9
_HINT = "take fewer encoders or a smaller cache.precision"


def check_room(folder: Path, needed: int, budget_gb: float | None) -> None:
    """Raises ValueError when `needed` more bytes exceed the budget of the whole table, or what the disk has free."""
    if not needed:
        return
    used = bytes_used(folder)
    if budget_gb is not None and used + needed > budget_gb * GB:
        raise ValueError(
            f"cache.budget_gb: the features take {size_text(used + needed)} ({size_text(used)} of it there already), "
            f"{size_text(budget_gb * GB)} are allowed; raise it, {_HINT}"
        )
    free = free_bytes(folder)
    if needed > free:
        raise ValueError(
            f"output: the features take {size_text(needed)} more, and the disk of {folder} has {size_text(free)} free; {_HINT}"
        )


def bytes_used(folder: Path) -> int:
    """What the table takes on disk, 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def free_bytes(folder: Path) -> int:
    """What is free on the disk that the folder is, or will be, on."""
    return shutil.disk_usage(existing_parent(folder)).free


def existing_parent(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def size_text(size: float) -> str:
    """A size in the largest unit that leaves at least one before the point."""
    for unit, factor in (("TB", 10**12), ("GB", GB), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1000:.1f} kB"


@contextmanager
def sole_builder(folder: Path) -> Generator[None]:
    """Two builds of a table would undo each other's commits. Raises ValueError where one is under way."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"features: {folder} is being built by another process; wait until it is done") from None
        yield
