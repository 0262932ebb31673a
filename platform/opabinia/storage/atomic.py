"""Files and folders that appear under their final name whole, or not at all.

They are written beside their final place, in a temporary that its writer holds locked, and renamed at the end. A killed
writer leaves its temporary unlocked, and the next writer of the same path removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO
from uuid import uuid4

_SUFFIX = ".partial"


@contextmanager
def whole_file(path: Path | str) -> Generator[BinaryIO]:
    """Yield a binary handle; `path` gets (or is replaced by) what was written when the block ends without an error."""
    final = Path(path)
    with _temporary(final, _new_file) as unfinished:
        with unfinished.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(unfinished, final)


@contextmanager
def whole_text(path: Path | str) -> Generator[TextIO]:
    """Yield a UTF-8 text handle with \\n line ends; otherwise like `whole_file`."""
    with whole_file(path) as binary:
        text = TextIOWrapper(binary, encoding="utf-8", newline="\n", write_through=True)
        yield text
        text.detach()


@contextmanager
def whole_folder(path: Path | str) -> Generator[Path]:
    """Yield an empty temporary folder beside `path`, which takes the name `path` when the block ends without an error.

    Raises ValueError where `path` exists already, when the block begins or by the time that it ends.
    """
    final = Path(path)
    if os.path.lexists(final):
        raise _taken(final)
    with _temporary(final, Path.mkdir) as unfinished:
        yield unfinished
        # os.rename would replace an empty folder silently.
        if os.path.lexists(final):
            raise _taken(final)
        try:
            os.rename(unfinished, final)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise _taken(final) from error
            raise


def _taken(path: Path) -> ValueError:
    return ValueError(f"{path}: exists already; remove it or choose another name")


@contextmanager
def _temporary(final: Path, create: Callable[[Path], None]) -> Generator[Path]:
    final.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(final)
    unfinished, lock = _locked(final, create)
    try:
        yield unfinished
    finally:
        _remove(unfinished)
        os.close(lock)


def _locked(final: Path, create: Callable[[Path], None]) -> tuple[Path, int]:
    """Create a temporary and lock it; another writer may have taken it for stale in between, then begin again."""
    while True:
        unfinished = final.with_name(f".{final.name}.{uuid4().hex}{_SUFFIX}")
        create(unfinished)
        try:
            lock = os.open(unfinished, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if unfinished.exists():
            return unfinished, lock
        os.close(lock)


def _remove_stale(final: Path) -> None:
    for leftover in final.parent.glob(f".{_escaped(final.name)}.{'[0-9a-f]' * 32}{_SUFFIX}"):
        with suppress(FileNotFoundError):
            lock = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(leftover)
            except BlockingIOError:
                continue
            finally:
                os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _new_file(path: Path) -> None:
    path.touch(exist_ok=False)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
