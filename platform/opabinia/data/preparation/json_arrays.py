"""Taking a JSON array apart while it is read, so that arrays larger than memory can be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

CHUNK_BYTES = 1 << 20

# Bytes that mean something to JSON are ASCII, and none of them is part of a longer UTF-8 character: no need to decode first, and
# no harm where a chunk ends within a character. All repetitions are possessive, so nothing is ever tried twice.
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_BETWEEN_ITEMS = re.compile(rb'(?:[^",\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_WITHIN_ITEM = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_SPACE = b" \t\n\r"


def array_items(stream: BinaryIO, name: str, largest: int) -> Iterator[bytes]:
    """The bytes of each item of the array in `stream`, without the space around it; an item need not be valid JSON.

    A stream is a valid array exactly when every item is valid JSON and no error was raised. Holds one item and a chunk.
    Raises ValueError that begins with `name` when the array is not closed, is followed by something, or an item has more than
    `largest` bytes.
    """
    array = _OpenArray(stream, name, largest)
    item, mark = array.next_item()
    if mark == b"," or item:
        yield item
    while mark == b",":
        item, mark = array.next_item()
        yield item
    array.expect_end()


class _OpenArray:
    """An array that is being read: the bytes at hand, and how far they have been looked at."""

    def __init__(self, stream: BinaryIO, name: str, largest: int) -> None:
        self._stream, self._name, self._largest = stream, name, largest
        self._held, self._place, self._dropped = b"", 0, 0
        while not self._held.strip(_SPACE):
            self._drop_before(len(self._held))
        self._place = len(self._held) - len(self._held.lstrip(_SPACE)) + 1
        if self._held[self._place - 1 : self._place] != b"[":
            raise self._broken("a JSON array must begin with a bracket")

    def next_item(self) -> tuple[bytes, bytes]:
        """The bytes up to the comma or bracket that ends the item, and which of them it is."""
        start, depth = self._place, 0
        while True:
            self._pass_over(_WITHIN_ITEM if depth else _BETWEEN_ITEMS)
            mark = self._held[self._place : self._place + 1]
            # A quote here opens a string that does not end within the bytes at hand.
            if mark in (b"", b'"'):
                start = self._drop_before(start)
                continue
            self._place += 1
            if depth == 0 and mark in (b",", b"]"):
                return self._held[start : self._place - 1].strip(_SPACE), mark
            depth += 1 if mark in (b"[", b"{") else -1
            if depth < 0:
                raise self._broken(f"a {mark.decode()} closes what was not opened")

    def expect_end(self) -> None:
        """Raises ValueError unless only space is left."""
        rest = self._held[self._place :]
        while not rest.strip(_SPACE):
            rest = self._stream.read(CHUNK_BYTES)
            if not rest:
                return
        raise self._broken("something follows the end of the array")

    def _pass_over(self, pattern: re.Pattern[bytes]) -> None:
        found = pattern.match(self._held, self._place)
        assert found is not None, "the pattern matches nothing, too"
        self._place = found.end()

    def _drop_before(self, start: int) -> int:
        """Read on, keeping the bytes from `start`; returns where they begin now."""
        if len(self._held) - start > self._largest:
            raise self._broken(
                f"an item is larger than {self._largest:,} bytes; is a quote or bracket not closed?", start
            )
        chunk = self._stream.read(CHUNK_BYTES)
        if not chunk:
            raise self._broken("the array is not closed: the file ends early, or a quote or bracket is not closed")
        self._held = self._held[start:] + chunk
        self._place -= start
        self._dropped += start
        return 0

    def _broken(self, reason: str, place: int | None = None) -> ValueError:
        position = self._dropped + (self._place if place is None else place)
        return ValueError(f"{self._name}: {reason} (byte {position:,}); repair it or fetch it again")
