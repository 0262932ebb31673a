"""Files as they were before they were compressed, whatever their name says."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from opabinia.data.arrow import pa
from opabinia.storage.objects import open_read

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 20

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 1 to 3 of a frame without data, with which parallel zstd begins its files (RFC 8878, §3.1.2)."""


@contextmanager
def open_plain(address: str) -> Generator[io.BufferedReader]:
    """A binary stream of what the file holds, gzip and zstd decompressed; both are known by their first bytes.

    Some MB are held. Raises ValueError, here or while reading, when it cannot be read or its compressed data are damaged or end early.
    """
    with open_read(address) as packed:
        yield io.BufferedReader(_Clear(_decompressed(packed), address), BUFFER_BYTES)


def _decompressed(packed: BinaryIO) -> BinaryIO:
    start = packed.read(4)
    packed.seek(0)
    if start.startswith(_GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=packed))
    if start == _ZSTD or (start[1:] == _ZSTD_SKIPPABLE and start[0] >> 4 == 5):
        return pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), "zstd")
    return packed


class _Clear(io.RawIOBase):
    """Passes bytes on, and says in one line what is wrong with compressed ones."""

    def __init__(self, stream: BinaryIO, address: str) -> None:
        self._stream = stream
        self._address = address

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._read(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except EOFError:
            raise ValueError(f"{self._address}: its compressed data end early; fetch it again") from None
        except (OSError, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{self._address}: cannot be read to its end ({reason}); fetch it again") from error
