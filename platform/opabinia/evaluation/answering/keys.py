"""What an answer follows from, as a digest: the same key, the same answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from opabinia.data.instructions.answer_log import SUFFIX

VERSION = 1
"""Of the code that turns words and a picture into an answer. Raise it when answers change: those that are kept are asked again."""

_OUR_RESULTS = frozenset({"answers.json", "report.json", "masks.json", "shares.json", "lock"})


def checkpoint_digest(folder: Path) -> str:
    """Of the names and contents of all files that a checkpoint is made of; what evaluation writes is not counted."""
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{_content_digest(path)}\0".encode())
    return digest.hexdigest()


def picture_digest(name: str, images: Path | None) -> str:
    """Of the content of a picture, a path below `images`; without such a folder, of the published file that holds it and its place.

    Raises ValueError naming a file that is missing.
    """
    path, place = (images / name, "") if images else _in_file(name)
    try:
        content = _content_digest(path)
    except OSError as error:
        raise ValueError(f"benchmark.images: {path} cannot be read ({error.strerror}); replace the file") from None
    return f"{content}{place}"


def answer_key(model: str, text: str, picture: str, max_new_tokens: int) -> str:
    """`model`: of the checkpoint and its encoders; `text`: the user's turn; `picture`: its digest, "" for none."""
    parts = json.dumps([VERSION, model, text, picture, max_new_tokens])
    return hashlib.sha256(parts.encode()).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in _OUR_RESULTS and not path.name.endswith(SUFFIX):
            yield path


def _in_file(name: str) -> tuple[Path, str]:
    """A picture by itself, or one cell of a file, "test.parquet#12.image"."""
    file, mark, place = name.rpartition("#")
    return (Path(file), mark + place) if mark and not Path(name).is_file() else (Path(name), "")


@cache
def _content_digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
