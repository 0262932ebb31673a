"""Listing and copying many files: folders, patterns and buckets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from opabinia.storage.addresses import ObjectAddress, join_address, parse_address
from opabinia.storage.atomic import whole_folder
from opabinia.storage.clients import asking
from opabinia.storage.failures import clear_local_errors
from opabinia.storage.objects import copy_file
from opabinia.storage.patterns import fixed_start, has_wildcard, leads_to_matches, matches

COPIES_AT_ONCE = 8
"""Each holds up to a part (writing.PART_BYTES) in memory."""

_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{32}\.partial", re.DOTALL)


def list_files(address: str | Path) -> list[str]:
    """The addresses of all files that `address` means, sorted: those below a folder, those that match a pattern, or itself.

    Patterns are those of `opabinia.storage.patterns`. What `opabinia.storage.atomic` has not finished writing is left out.
    Raises ValueError when the listing cannot be had in full: no access, no answer, no such bucket.
    """
    place = parse_address(address)
    if isinstance(place, Path):
        return sorted(_local_matches(str(place)) if has_wildcard(str(place)) else _local_files(place))
    if has_wildcard(place.key):
        return sorted(_address(place, key) for key in _keys(place, fixed_start(place.key)) if matches(key, place.key))
    return sorted(_address(place, key) for key in _keys_of(place))


def upload_folder(folder: str | Path, address: str | Path) -> list[str]:
    """Copy every file below `folder` to below `address`, several at once; their new addresses, sorted.

    Each file appears whole or not at all, the folder file by file: write last, and by yourself, what says that all are there.
    Folders without a file are not copied. Raises ValueError at the first file that cannot be copied, and when there is none.
    """
    return _copy_below(folder, address)


def download_folder(address: str | Path, folder: str | Path) -> None:
    """Copy every file below `address` into the new folder `folder`, which appears when all have arrived, or not at all.

    Raises ValueError when a file cannot be copied, a key is no file name, there is no file, or `folder` exists.
    """
    final = Path(folder)
    with clear_local_errors(final, "write"), whole_folder(final) as unfinished:
        _copy_below(address, unfinished)


def _copy_below(source: str | Path, target: str | Path) -> list[str]:
    names = _names_below(parse_address(source))
    if not names:
        raise ValueError(f"{source}: there are no files below it; correct the address or write them first")
    pairs = [(join_address(source, name), join_address(target, name)) for name in names]
    _each_at_once(lambda pair: copy_file(*pair), pairs)
    return sorted(copied for _, copied in pairs)


def _each_at_once(copy: Callable[[tuple[str, str]], None], pairs: Sequence[tuple[str, str]]) -> None:
    """Call `copy` on each from several threads; the first error ends it, after the copies that have begun."""
    with ThreadPoolExecutor(COPIES_AT_ONCE) as threads:
        try:
            for copied in [threads.submit(copy, pair) for pair in pairs]:
                copied.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _names_below(place: Path | ObjectAddress) -> list[str]:
    """The names of all files below `place`, relative to it."""
    if isinstance(place, Path):
        with clear_local_errors(place, "list"):
            return sorted(_walk(str(place)))
    folder = _folder_key(place.key)
    return sorted(key.removeprefix(folder) for key in _keys(place, folder))


def _keys_of(place: ObjectAddress) -> list[str]:
    """The keys below the folder `place`, or its own when it is an object."""
    below = list(_keys(place, _folder_key(place.key)))
    # Its own key, if there is one, is the first of those that begin with it.
    return below or [key for key in _keys(place, place.key, most=1) if key == place.key]


def _folder_key(key: str) -> str:
    return f"{key.rstrip('/')}/" if key else ""


def _keys(place: ObjectAddress, start: str, most: int | None = None) -> Iterator[str]:
    """The keys that begin with `start`, page by page; without those that stand for a folder."""
    with asking(place, "list") as client:
        limits = {"MaxItems": most, "PageSize": most} if most else {}
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=start, PaginationConfig=limits
        )
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", ()) if not _is_folder(entry))


def _is_folder(entry: dict[str, Any]) -> bool:
    return entry["Key"].endswith("/") and not entry["Size"]


def _address(place: ObjectAddress, key: str) -> str:
    return str(ObjectAddress(place.scheme, place.bucket, key))


def _local_files(place: Path) -> list[str]:
    with clear_local_errors(place, "list"):
        return [str(place)] if place.is_file() else [str(place / name) for name in _walk(str(place))]


def _local_matches(text: str) -> list[str]:
    base = fixed_start(text).rpartition("/")[0]
    pattern = text[len(base) :].lstrip("/")
    root = Path(base or ("/" if text.startswith("/") else "."))
    with clear_local_errors(root, "list"):
        found = _walk(str(root), lambda folder: leads_to_matches(folder, pattern))
        return [str(root / name) for name in found if matches(name, pattern)]


def _walk(root: str, wanted: Callable[[str], bool] = lambda folder: True) -> Iterator[str]:
    """The names of files below `root`, relative to it, looking into the folders that are `wanted`; none without `root`."""
    if not os.path.lexists(root):
        return
    for folder, inside, files in os.walk(root, onerror=_raise, followlinks=True):
        relative = os.path.relpath(folder, root)
        start = "" if relative == "." else f"{relative}/"
        inside[:] = [name for name in inside if not _UNFINISHED.fullmatch(name) and wanted(start + name)]
        yield from (start + name for name in files if not _UNFINISHED.fullmatch(name))


def _raise(error: OSError) -> None:
    """os.walk would pass over a folder that it cannot read."""
    raise error
