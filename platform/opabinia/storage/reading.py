"""A remote object as a stream that yields every byte of one version of it, or raises."""

from __future__ import annotations

import io
import os
import random
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opabinia.storage.addresses import ObjectAddress
from opabinia.storage.boto import boto_errors, boto_failures, error_code, http_status
from opabinia.storage.clients import asking, patience
from opabinia.storage.failures import one_line

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PROGRESS_BYTES = 1 << 20
"""A body that broke after yielding this much since the last break is at its first break again."""

# What came of a piece is lost when the connection fails before all of it came.
_RECEIVE_BYTES = 1 << 16
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_RANGE_NOT_SATISFIABLE = 416
_INCOMPLETE = (
    "the server told no size, ETag or range as asked; store it without Content-Encoding, on a server that does"
)


class ObjectReader(io.RawIOBase):
    """Reads an object from `start` to `stop` (bytes; its end when None), seekable, with nothing held in memory.

    A body that breaks off or falls silent is asked for again from the first missing byte on, on condition that the object's
    ETag is still the same. Raises ValueError when the object is missing or ends before `start`, changes meanwhile, or keeps
    breaking off (AWS_MAX_ATTEMPTS times with less than PROGRESS_BYTES in between).
    """

    def __init__(self, place: ObjectAddress, start: int = 0, stop: int | None = None) -> None:
        super().__init__()
        self._place = place
        self._position = start
        self._stop = stop
        self._etag: str | None = None
        self._size: int | None = None
        self._body: Any = None
        self._breaks = 0
        self._since_break = 0
        self._begin()

    @property
    def size(self) -> int:
        """Bytes of the whole object."""
        assert self._size is not None
        return self._size

    @property
    def etag(self) -> str | None:
        """What tells this version of the object from others, without its quotation marks; None for an empty object."""
        return self._etag.strip('"') if self._etag else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise ValueError(f"{self._place}: position {origin + offset} lies before its start")
        if origin + offset != self._position:
            self._position = origin + offset
            self._drop_body()
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        wanted = memoryview(buffer).cast("B")[: max(0, self._end - self._position)]
        while wanted:
            count, broken = self._receive(wanted)
            if count:
                self._position += count
                self._since_break += count
                return count
            self._pause(broken)
        return 0

    def readall(self) -> bytes:
        content = bytearray(max(0, self._end - self._position))
        view = memoryview(content)
        while view:
            view = view[self.readinto(view) :]
        return bytes(content)

    def close(self) -> None:
        self._drop_body()
        super().close()

    @property
    def _end(self) -> int:
        return self.size if self._stop is None else min(self._stop, self.size)

    def _receive(self, wanted: memoryview) -> tuple[int, str]:
        """How many bytes came, and when none did, why."""
        if self._body is None:
            self._begin()
        body: Any = self._body
        try:
            return body.readinto(wanted[:_RECEIVE_BYTES]), "its body ended early"
        except boto_errors().ReadTimeoutError:
            return 0, f"no byte came for {patience().timeout:g} s"
        except (*boto_failures(), OSError) as error:
            return 0, one_line(error)

    def _begin(self) -> None:
        """Ask for all from the position on, of the version that was read so far."""
        last = "" if self._stop is None else self._stop - 1
        request = {"Range": f"bytes={self._position}-{last}"} | ({"IfMatch": self._etag} if self._etag else {})
        with asking(self._place, "read") as client:
            try:
                answer = client.get_object(Bucket=self._place.bucket, Key=self._place.key, **request)
            except Exception as error:
                if http_status(error) != _RANGE_NOT_SATISFIABLE:
                    raise
                self._past_the_end()
                return
        self._body = answer["Body"]
        self._accept(answer)

    def _accept(self, answer: dict[str, Any]) -> None:
        """Check that the body is the one asked for: its first byte, and the object's size and ETag."""
        first, size = _first_and_size(answer)
        etag = answer.get("ETag")
        if size is None or first != self._position or not etag:
            self._drop_body()
            raise ValueError(f"{self._place}: {_INCOMPLETE}")
        if self._size not in (None, size) or self._etag not in (None, etag):
            self._drop_body()
            raise ValueError(f"{self._place}: it changed while it was being read; read it again from its start")
        self._size, self._etag = size, etag

    def _past_the_end(self) -> None:
        if self._position or self._size is not None:
            raise ValueError(f"{self._place}: it ends before byte {self._position}; ask for bytes that it has")
        self._size = 0

    def _pause(self, broken: str) -> None:
        """Wait a little longer after each break in a row. Raises ValueError when there were too many."""
        self._drop_body()
        self._breaks = 1 if self._since_break >= PROGRESS_BYTES else self._breaks + 1
        self._since_break = 0
        if self._breaks >= patience().attempts:
            missing = f"{self._end - self._position} of {self.size} bytes are missing"
            raise ValueError(
                f"{self._place}: {missing}: it broke off {self._breaks} times ({broken}); check the network and read it again"
            )
        time.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._breaks - 1)) * random.uniform(0.5, 1))

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with suppress(OSError):
                body.close()


def find_size(place: ObjectAddress) -> int | None:
    """Bytes of the object, None when there is none. Raises ValueError when that cannot be told.

    One byte is asked for instead of the headers alone, to which a server could not add why it refuses.
    """
    with asking(place, "read") as client:
        try:
            answer = client.get_object(Bucket=place.bucket, Key=place.key, Range="bytes=0-0")
        except Exception as error:
            if http_status(error) == _RANGE_NOT_SATISFIABLE:
                return 0
            if error_code(error) == "NoSuchKey":
                return None
            raise
    answer["Body"].close()
    _, size = _first_and_size(answer)
    if size is None:
        raise ValueError(f"{place}: {_INCOMPLETE}")
    return size


def _first_and_size(answer: dict[str, Any]) -> tuple[int, int | None]:
    """The position of the body's first byte, and the object's size, where the server told it."""
    told = answer.get("ContentRange")
    if told is None:
        return 0, answer.get("ContentLength")
    stretch = _CONTENT_RANGE.fullmatch(told)
    return (int(stretch[1]), int(stretch[2])) if stretch else (0, None)
