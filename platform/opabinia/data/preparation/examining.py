"""Looking at the pictures of a data set, each once."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a sound picture: width and height in pixels as stored, and the name of its format."""

    width: int
    height: int
    format: str


class PictureFolder:
    """The pictures below an address; what was found of each is remembered."""

    def __init__(self, address: str, limits: LimitsConfig) -> None:
        self._address = address
        self._limits = limits
        self._found = dict[str, Picture | Refused]()

    def examine(self, name: str) -> Picture:
        """Decode the picture and check its size. Raises Refused, and ValueError when a bucket cannot be asked."""
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


def _examine(folder: str, name: str, limits: LimitsConfig) -> Picture:
    content = _read(folder, name)
    try:
        check_picture(content)
    except PictureError as error:
        raise Refused("image broken", f"image {name!r} {error}") from None
    with warnings.catch_warnings(action="ignore"), Image.open(BytesIO(content)) as image:
        picture = Picture(*image.size, image.format or "unknown")
    if problem := check_size(picture.width, picture.height, limits):
        raise Refused("image size", f"image {name!r} {problem}")
    return picture


def _read(folder: str, name: str) -> bytes:
    try:
        place = parse_address(folder)
        if isinstance(place, Path):
            return (place / name).read_bytes()
        address = join_address(folder, name)
    except FileNotFoundError:
        raise Refused("image missing", f"image {name!r} is missing") from None
    except (OSError, ValueError) as error:
        raise Refused("image broken", f"image {name!r} cannot be read: {one_line(error)}") from None
    try:
        return read_bytes(address)
    except ValueError:
        # A server that does not answer says nothing about the picture: then this raises, too.
        if exists(address):
            raise
        raise Refused("image missing", f"image {name!r} is missing") from None
