"""The answers that a model gave, kept for good: each is a line of a file that is only ever appended to.

Every Ray task writes a file of its own, so that lines of several nodes on one shared folder never mix. A line counts once it ends in
a line feed: what a killed writer left half written is asked again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from array import array
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from opabinia.data.instructions.client import Answer

SUFFIX = ".answers.jsonl"
_PATIENCE_S = 60.0


class AnswerWriter:
    """Appends answers to a file of its own, which appears with the first of them and is locked while it is open."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}-{uuid4().hex}{SUFFIX}"
        self._file: int | None = None
        self._torn = False

    def add(self, key: str, answer: Answer) -> None:
        """Write a line, past every buffer of this process. Raises OSError, from then on at every call, when it cannot."""
        line = (json.dumps({"key": key, **asdict(answer)}) + "\n").encode()
        if self._torn:
            raise OSError(f"{self._path}: an earlier line could not be written whole")
        self._torn = True
        while line:
            line = line[os.write(self._handle(), line) :]
        self._torn = False

    def close(self) -> None:
        """Bring all lines to the disk."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _handle(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file


class AnswerIndex:
    """Where the answer to each request stands; 20 bytes of memory an answer."""

    def __init__(
        self, files: list[Path], hashes: NDArray[np.uint64], places: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> None:
        # Stable: of two answers to the same request, the same one is always found.
        order = np.argsort(hashes, kind="stable")
        self._files = files
        self._hashes, self._places, self._offsets = hashes[order], places[order], offsets[order]

    def __len__(self) -> int:
        return len(self._hashes)

    def find(self, key: str) -> Answer | None:
        """The answer to a request, None when there is none."""
        wanted = np.uint64(_short(key))
        position = int(np.searchsorted(self._hashes, wanted))
        while position < len(self._hashes) and self._hashes[position] == wanted:
            fields = self._read(position)
            if fields.pop("key") == key:
                return Answer(**fields)
            position += 1
        return None

    def _read(self, position: int) -> dict[str, Any]:
        with self._files[int(self._places[position])].open("rb") as handle:
            handle.seek(int(self._offsets[position]))
            return json.loads(handle.readline())


def read_answers(folder: Path, name: str = "") -> AnswerIndex:
    """All answers in a folder, or those of the writers called `name`."""
    files = sorted(folder.glob(f"{name}*{SUFFIX}"))
    hashes, places, offsets = array("Q"), array("i"), array("q")
    for place, file in enumerate(files):
        for offset, key in _keys(file):
            hashes.append(_short(key))
            places.append(place)
            offsets.append(offset)
    return AnswerIndex(
        files, np.array(hashes, dtype=np.uint64), np.array(places, dtype=np.int32), np.array(offsets, dtype=np.int64)
    )


@contextmanager
def only_run(folder: Path) -> Generator[None]:
    """Keep other runs from asking into the same folder, once the tasks of one that was killed have ended too.

    Raises ValueError when another run is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another run writes its answers there; wait for it or choose another") from None
        for file in sorted(folder.glob(f"*{SUFFIX}")):
            _await_writer(file)
        yield


def _await_writer(file: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with file.open("rb") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ValueError(f"{file}: a task of another run still writes to it; end that task") from None
                time.sleep(0.1)


def _keys(file: Path) -> Iterator[tuple[int, str]]:
    """(byte offset, key) of every complete line."""
    offset = 0
    with file.open("rb") as handle:
        for line in handle:
            if line.endswith(b"\n") and (key := _key(line)):
                yield offset, key
            offset += len(line)


def _key(line: bytes) -> str | None:
    try:
        fields: Any = json.loads(line)
        _ = Answer(**{name: value for name, value in fields.items() if name != "key"})
        int(fields["key"], 16)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return fields["key"]


def _short(key: str) -> int:
    return int(key[:16], 16)
