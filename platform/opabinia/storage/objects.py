"""Files by address: a local path, `s3://BUCKET/KEY`, or `gs://BUCKET/KEY` through Google's S3 interface.

What is read is complete and of one version, what is written appears whole or not at all, and otherwise there is a ValueError of
one line that names the address. Credentials, endpoints and limits come from the environment: see `opabinia.storage.clients`.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from opabinia.storage.addresses import ObjectAddress, parse_file
from opabinia.storage.atomic import whole_file
from opabinia.storage.failures import clear_local_errors
from opabinia.storage.reading import ObjectReader, find_size
from opabinia.storage.writing import ObjectWriter

BUFFER_BYTES = 1 << 20


def open_read(address: str | Path) -> BinaryIO:
    """A seekable binary stream of the file; use it in a `with` block.

    Of a remote object only BUFFER_BYTES are held, and a body that breaks off is resumed. Raises ValueError, here or while
    reading, when it is missing, may not be read, changes meanwhile or cannot be read to its end.
    """
    place = parse_file(address)
    if isinstance(place, Path):
        with clear_local_errors(place, "read"):
            return place.open("rb")
    return cast(BinaryIO, io.BufferedReader(ObjectReader(place), BUFFER_BYTES))


def read_bytes(address: str | Path, start: int = 0, stop: int | None = None) -> bytes:
    """The file's bytes from `start` to before `stop` (its end when None), in memory.

    Raises ValueError like `open_read`, and when the file ends before `stop`: never fewer bytes than were asked for.
    """
    if start < 0 or (stop is not None and stop < start):
        raise ValueError(f"{address}: bytes {start} to {stop}; give positions from its start, the lower one first")
    if stop == start:
        return b""
    content = _read_stretch(address, start, stop)
    if (start and not content) or (stop is not None and len(content) < stop - start):
        raise ValueError(f"{address}: it ends before byte {stop or start}; ask for bytes that it has")
    return content


@contextmanager
def whole_object(address: str | Path) -> Generator[BinaryIO]:
    """Yield a binary handle; `address` gets (or is replaced by) what was written when the block ends without an error.

    Up to writing.PART_BYTES are held; more is sent in parts, which an error in the block removes again. Raises ValueError when
    it may not be written, the disk is full, or the server does not take all of it.
    """
    place = parse_file(address)
    if isinstance(place, Path):
        with clear_local_errors(place, "write"), whole_file(place) as handle:
            yield handle
        return
    writer = ObjectWriter(place)
    try:
        yield cast(BinaryIO, writer)
        writer.finish()
    except BaseException:
        writer.abort()
        raise


def exists(address: str | Path) -> bool:
    """Whether there is such a file. Raises ValueError when that cannot be told: no access, no answer, no such bucket."""
    place = parse_file(address)
    if isinstance(place, ObjectAddress):
        return find_size(place) is not None
    with clear_local_errors(place, "read"):
        return place.is_file()


def size(address: str | Path) -> int:
    """Bytes of the file. Raises ValueError when it is missing or may not be read."""
    place = parse_file(address)
    if isinstance(place, Path):
        with clear_local_errors(place, "read"):
            return place.stat().st_size
    found = find_size(place)
    if found is None:
        raise ValueError(f"{place}: there is no such object; write it first or correct the address")
    return found


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy one file, from and to wherever it may be; `target` appears whole or not at all. Raises ValueError like both ends."""
    with open_read(source) as reading, whole_object(target) as writing:
        shutil.copyfileobj(reading, writing, BUFFER_BYTES)


def _read_stretch(address: str | Path, start: int, stop: int | None) -> bytes:
    place = parse_file(address)
    if isinstance(place, ObjectAddress):
        with ObjectReader(place, start, stop) as stream:
            return stream.readall()
    with clear_local_errors(place, "read"), place.open("rb") as file:
        file.seek(start)
        return file.read(-1 if stop is None else stop - start)
