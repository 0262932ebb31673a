"""What names a file: a local path, or `s3://BUCKET/KEY` and `gs://BUCKET/KEY` for an object in a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SCHEMES = ("s3", "gs")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_COLLAPSED = re.compile(rf"({'|'.join(SCHEMES)}):/(?!/)")


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """An object, a folder of objects or a whole bucket.

    scheme: s3 or gs.
    key: the name inside the bucket, taken to the letter (no percent decoding); empty for the whole bucket.
    """

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


def parse_address(address: str | Path) -> Path | ObjectAddress:
    """The path or object that `address` names. Raises ValueError for other schemes and for names that are no name."""
    text = str(address)
    if _COLLAPSED.match(text):
        raise ValueError(f"{text}: an address in a bucket that was made a Path lost a slash; pass it as text")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _local(text)
    if scheme[1] not in SCHEMES:
        raise ValueError(f"{text}: {scheme[1]}:// is not known; write s3://, gs:// or a local path")
    bucket, _, key = text[scheme.end() :].partition("/")
    if not bucket:
        raise ValueError(f"{text}: names no bucket; write {scheme[1]}://BUCKET/KEY")
    # HTTP libraries resolve these on the way, so another object than the one named would be read or replaced.
    if {".", ".."} & set(key.split("/")):
        raise ValueError(f"{text}: holds . or .. between slashes; write the key out")
    return ObjectAddress(scheme[1], bucket, key)


def parse_file(address: str | Path) -> Path | ObjectAddress:
    """Like `parse_address`, for what must be a single file or object."""
    place = parse_address(address)
    if isinstance(place, ObjectAddress) and (not place.key or place.key.endswith("/")):
        raise ValueError(f"{address}: names no object; add its key after the bucket, without a slash at the end")
    return place


def absolute_address(address: str | Path) -> str:
    """The same file or folder by an address that holds in any working folder. Raises ValueError like `parse_address`."""
    place = parse_address(address)
    return str(place.absolute()) if isinstance(place, Path) else str(place)


def join_address(folder: str | Path, relative: str) -> str:
    """The address of the file `relative` (parts with / between them) below `folder`.

    Raises ValueError where it would lie elsewhere: what a bucket lists may hold `..` or begin with a slash.
    """
    if {"", ".", ".."} & set(relative.split("/")) or "\0" in relative:
        raise ValueError(f"{folder}: {relative!r} is no name for a file below it; rename it")
    place = parse_address(folder)
    return str(place / relative) if isinstance(place, Path) else f"{str(place).rstrip('/')}/{relative}"


def _local(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(f"{text!r}: is no address; write s3://BUCKET/KEY, gs://BUCKET/KEY or a local path")
    return Path(text)
