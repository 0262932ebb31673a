"""The actor that encodes: fragment after fragment, each picture decoded once for all encoders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from opabinia.data.arrow import ArrowArray, ArrowTable, pa
from opabinia.data.pictures import PictureError, one_line
from opabinia.features.decoding import opened_batches
from opabinia.features.encoder_source import Column, Encode, EncoderSource
from opabinia.features.packing import arrow_arrays, column_fields, pack
from opabinia.features.rounding import Rounding, rounding_of, state_rounding
from opabinia.features.rows import open_writer, unfinished_path

OUTCOME_SCHEMA = pa.schema(
    [
        ("fragment", pa.int64()),
        ("encoder", pa.string()),
        ("file", pa.string()),
        ("bytes", pa.int64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
    ]
)


class FragmentEncoder:
    """Holds the encoders and writes one file per encoder for each fragment that it is given."""

    def __init__(
        self, folder: str, version: str, columns: Mapping[str, Column], source: EncoderSource, batch: int, threads: int
    ) -> None:
        # Not at the top: the process that plans the work names this class, and has no use for torch.
        import torch

        torch.set_num_threads(threads)
        self.folder, self.version, self.columns = Path(folder), version, columns
        self.batch, self.threads, self.source = batch, threads, source
        self.encoders, self.broken = dict[str, Encode](), dict[str, str]()
        for encoder in columns:
            # Whatever keeps one encoder from loading must not keep the others from being computed.
            try:
                self.encoders[encoder] = source.load(encoder)
            except Exception as error:
                self.broken[encoder] = one_line(error)

    def __call__(self, block: ArrowTable) -> Iterator[ArrowTable]:
        """Rows {fragment, encoders, paths} -> per encoder one row of OUTCOME_SCHEMA; errors are told, not raised."""
        for item in block.to_pylist():
            outcomes = [{"fragment": item["fragment"], **outcome} for outcome in self._encode(item)]
            yield pa.Table.from_pylist(outcomes, schema=OUTCOME_SCHEMA)

    def _encode(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        wanted: list[str] = item["encoders"]
        writers = {
            encoder: ColumnWriter(self.folder, self.version, self.columns[encoder], self.encoders[encoder])
            for encoder in wanted
            if encoder in self.encoders
        }
        try:
            self._write(item["paths"], list(writers.values()))
        except PictureError as error:
            for writer in writers.values():
                writer.error = str(error)
        written = {encoder: writer.finish() for encoder, writer in writers.items()}
        failed = {encoder: _failure(self.broken[encoder]) for encoder in wanted if encoder in self.broken}
        return [{"encoder": encoder, **outcome} for encoder, outcome in (written | failed).items()]

    def _write(self, paths: Sequence[str], writers: Sequence[ColumnWriter]) -> None:
        for pictures in opened_batches(paths, self.batch, self.threads, self.source.decoding):
            for writer in writers:
                writer.write(pictures)


class ColumnWriter:
    """Encodes and writes one column of one fragment, and remembers the first thing that goes wrong."""

    def __init__(self, folder: Path, version: str, column: Column, encode: Encode) -> None:
        self.column, self.encode = column, encode
        self.name = f"{uuid4().hex}.lance"
        self.path = unfinished_path(folder, self.name)
        self.schema = pa.schema(column_fields(column))
        self.writer = open_writer(self.path, self.schema, version)
        self.error, self.seconds, self.rounding = "", 0.0, Rounding()

    def write(self, pictures: Sequence[Image.Image | None]) -> None:
        """Append one row a picture; None, the place of a deleted row, becomes zeros."""
        if self.error:
            return
        start = time.perf_counter()
        try:
            self.writer.write_batch(pa.record_batch(self._rows(pictures), schema=self.schema))
        except Exception as error:
            self.error = one_line(error)
        self.seconds += time.perf_counter() - start

    def finish(self) -> dict[str, Any]:
        """Close the file and say what it is, or remove it and say what went wrong."""
        try:
            state_rounding(self.writer, self.rounding)
            self.writer.close()
        except Exception as error:
            self.error = self.error or one_line(error)
        if self.error:
            with suppress(FileNotFoundError):
                self.path.unlink()
            return _failure(self.error)
        size = self.path.stat().st_size
        return {"file": self.name, "bytes": size, "seconds": self.seconds, "error": ""}

    def _rows(self, pictures: Sequence[Image.Image | None]) -> list[ArrowArray]:
        import torch

        there = [index for index, picture in enumerate(pictures) if picture is not None]
        if there:
            features = self.encode([picture for picture in pictures if picture is not None])
        else:
            features = torch.empty(0, self.column.tokens, self.column.width)
        packed = pack(features, self.column)
        self.rounding += rounding_of(features, packed)
        return arrow_arrays(packed.spread(there, len(pictures)))


def _failure(error: str) -> dict[str, Any]:
    return {"file": "", "bytes": 0, "seconds": 0.0, "error": error}
