"""How long this machine takes to encode a picture, and to read its features back instead."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from PIL import Image

from opabinia.features import rows
from opabinia.features.decoding import open_picture
from opabinia.features.encoder_source import Column, Encode, EncoderSource
from opabinia.features.encoding import ColumnWriter
from opabinia.features.packing import pack
from opabinia.features.room import existing_parent
from opabinia.features.rows import ColumnFile, commit_files, ensure_columns, ensure_rows

if TYPE_CHECKING:
    from torch import Tensor

    from opabinia.encoders.pixels import Decoding

_PATIENCE_S = 2.0
_READ_BYTES = 32 * 2**20
_READ_AT_ONCE = 32


def measure_encoding(
    paths: Sequence[str], columns: Mapping[str, Column], source: EncoderSource, threads: int
) -> dict[str, float]:
    """Seconds a picture per encoder, decoding and rounding included, from a few seconds' work on the first of `paths`.

    Raises ValueError when an encoder cannot be loaded and PictureError when a picture cannot be read.
    """
    import torch

    torch.set_num_threads(threads)
    start = time.perf_counter()
    pictures = [open_picture(path, source.decoding) for path in paths]
    decoding = (time.perf_counter() - start) / len(pictures) / threads
    return {
        encoder: decoding + _seconds_a_picture(source.load(encoder), pictures, column)
        for encoder, column in columns.items()
    }


def measure_reading(folder: Path, columns: Mapping[str, Column]) -> dict[str, float]:
    """Seconds a picture per encoder, reading random rows from the disk that `folder` is, or will be, on.

    Reads what it has just written and asked the system to forget, in batches and in the way that training reads.
    """
    seconds = dict[str, float]()
    for encoder, column in columns.items():
        with TemporaryDirectory(dir=existing_parent(folder.parent), prefix=".probe-") as scratch:
            seconds[encoder] = _read_a_picture(Path(scratch) / "rows.lance", encoder, column)
    return seconds


def _seconds_a_picture(encode: Encode, pictures: Sequence[Image.Image], column: Column) -> float:
    def seconds(count: int) -> float:
        start = time.perf_counter()
        pack(encode(pictures[:count]), column)
        return (time.perf_counter() - start) / count

    # The first call pays for what later ones find ready; the second says how many pictures the time allows.
    few = min(2, len(pictures))
    seconds(few)
    once = seconds(few)
    return seconds(max(few, min(len(pictures), int(_PATIENCE_S / once))))


def _read_a_picture(folder: Path, encoder: str, column: Column) -> float:
    from opabinia.features.table import FeatureReader

    count = min(rows.FRAGMENT_ROWS, max(_READ_AT_ONCE, _READ_BYTES // column.bytes))
    keys = [f"{index:06d}" for index in range(count)]
    source = _Noise(column)
    table = ensure_columns(ensure_rows(folder, keys), [column])
    writer = ColumnWriter(folder, table.data_storage_version, column, source.load(encoder))
    for start in range(0, count, _READ_AT_ONCE):
        writer.write([Image.new("RGB", (1, 1))] * len(keys[start : start + _READ_AT_ONCE]))
    written = writer.finish()
    if written["error"]:
        raise ValueError(f"features: the disk of {folder} cannot be written to: {written['error']}")
    commit_files(table, [ColumnFile(0, column.names, written["file"], written["bytes"])])
    _forget(folder)
    reader = FeatureReader(folder, [encoder], memory_mib=0, source=source)
    Random(0).shuffle(keys)
    start_s = time.perf_counter()
    for start in range(0, count, _READ_AT_ONCE):
        reader.read(keys[start : start + _READ_AT_ONCE])
    return (time.perf_counter() - start_s) / count


@dataclass(frozen=True, slots=True)
class _Noise:
    """An encoder whose features cost nothing."""

    of: Column
    decoding: Decoding = "full"

    def column(self, encoder_id: str) -> Column:
        return self.of

    def load(self, encoder_id: str) -> Encode:
        import torch

        noise = torch.randn(_READ_AT_ONCE, self.of.tokens, self.of.width)

        def encode(images: Sequence[Image.Image]) -> Tensor:
            return noise[: len(images)]

        return encode


def _forget(folder: Path) -> None:
    """Ask the system to drop the files from memory, so that reading them is reading the disk."""
    for path in folder.rglob("*.lance"):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
