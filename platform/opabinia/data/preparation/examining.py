"""Looking at the pictures of a data set, each once."""

from __future__ import annotations

import errno
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from opabinia.data.pictures import PictureError, check_picture, one_line
from opabinia.data.preparation.checks import Refused, check_size
from opabinia.data.preparation.settings import LimitsConfig
from opabinia.storage.addresses import join_address, parse_address
from opabinia.storage.objects import exists, read_bytes

_OF_THE_NAME = frozenset({errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})
"""What the system answers where no file of that name can be."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a sound picture: width and height in pixels as stored, and the name of its format."""

    width: int
    height: int
    format: str


class MissingPicture(PictureError):
    """There is no such file."""


class PictureFolder:
    """The pictures below an address; what was found of each is remembered."""

    def __init__(self, address: str, limits: LimitsConfig) -> None:
        self._address = address
        self._limits = limits
        self._found = dict[str, Picture | Refused]()

    def examine(self, name: str) -> Picture:
        """Decode the picture and check its size. Raises Refused, and ValueError as `read_picture` does."""
        if name not in self._found:
            try:
                self._found[name] = _examine(self._address, name, self._limits)
            except Refused as refused:
                self._found[name] = refused
        found = self._found[name]
        if isinstance(found, Refused):
            # Anew: an exception that is raised again gathers tracebacks.
            raise Refused(found.kind, str(found))
        return found


def read_picture(folder: str, name: str) -> bytes:
    """The bytes of the picture `name` below an address.

    Raises PictureError for what is wrong with the picture alone; and ValueError where it may be sound and cannot be had: no right to
    read it, a disk that fails, a server that does not answer. That says nothing about the record.
    """
    place = parse_address(folder)
    return _read_local(place, name) if isinstance(place, Path) else _read_remote(folder, name)


def _examine(folder: str, name: str, limits: LimitsConfig) -> Picture:
    try:
        content = read_picture(folder, name)
        check_picture(content)
    except MissingPicture as error:
        raise Refused("image missing", f"image {name!r} {error}") from None
    except PictureError as error:
        raise Refused("image broken", f"image {name!r} {error}") from None
    with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(content)) as image:
        picture = Picture(*image.size, image.format or "unknown")
    if problem := check_size(picture.width, picture.height, limits):
        raise Refused("image size", f"image {name!r} {problem}")
    return picture


def _read_local(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingPicture("is missing") from None
    except OSError as error:
        if error.errno in _OF_THE_NAME:
            raise PictureError(f"cannot be read: {one_line(error)}") from None
        raise ValueError(f"{folder / name}: cannot be read ({error.strerror}); mend that and run again") from error


def _read_remote(folder: str, name: str) -> bytes:
    try:
        address = join_address(folder, name)
    except ValueError as error:
        raise PictureError(f"cannot be read: {one_line(error)}") from None
    try:
        return read_bytes(address)
    except ValueError:
        # A server that does not answer says nothing about the picture: then this raises, too.
        if exists(address):
            raise
        raise MissingPicture("is missing") from None
