"""The actor that encodes: fragment after fragment, each picture decoded once for all encoders."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from PIL import Image

from opabinia.data.arrow import ArrowArray, ArrowTable, pa
from opabinia.data.pictures import PictureError, one_line
from opabinia.features.encoder_source import Column, Encode, EncoderSource
from opabinia.features.rows import column_field, open_writer

if TYPE_CHECKING:
    from torch import Tensor

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
        self, folder: str, version: str, encoder_ids: Sequence[str], source: EncoderSource, batch: int, threads: int
    ) -> None:
        # Not at the top: the process that plans the work names this class, and has no use for torch.
        import torch

        torch.set_num_threads(threads)
        self.folder, self.version, self.batch = Path(folder), version, batch
        self.columns = {encoder: source.column(encoder) for encoder in encoder_ids}
        self.encoders, self.broken = dict[str, Encode](), dict[str, str]()
        for encoder in encoder_ids:
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
        for start in range(0, len(paths), self.batch):
            pictures = [open_picture(path) if path else None for path in paths[start : start + self.batch]]
            for writer in writers:
                writer.write(pictures)


class ColumnWriter:
    """Encodes and writes one column of one fragment, and remembers the first thing that goes wrong."""

    def __init__(self, folder: Path, version: str, column: Column, encode: Encode) -> None:
        self.column, self.encode = column, encode
        self.path = folder / "data" / f"{uuid4().hex}.lance"
        self.schema = pa.schema([column_field(column)])
        self.writer = open_writer(self.path, self.schema, version)
        self.error, self.seconds = "", 0.0

    def write(self, pictures: Sequence[Image.Image | None]) -> None:
        """Append one row a picture; None, the place of a deleted row, becomes zeros."""
        if self.error:
            return
        start = time.perf_counter()
        try:
            self.writer.write_batch(pa.record_batch([self._rows(pictures)], schema=self.schema))
        except Exception as error:
            self.error = one_line(error)
        self.seconds += time.perf_counter() - start

    def finish(self) -> dict[str, Any]:
        """Close the file and say what it is, or remove it and say what went wrong."""
        try:
            self.writer.close()
        except Exception as error:
            self.error = self.error or one_line(error)
        if self.error:
            with suppress(FileNotFoundError):
                self.path.unlink()
            return _failure(self.error)
        size = self.path.stat().st_size
        return {"file": self.path.name, "bytes": size, "seconds": self.seconds, "error": ""}

    def _rows(self, pictures: Sequence[Image.Image | None]) -> ArrowArray:
        import torch

        there = [index for index, picture in enumerate(pictures) if picture is not None]
        rows = torch.zeros(len(pictures), self.column.values, dtype=torch.float16)
        if there:
            features = self.encode([picture for picture in pictures if picture is not None])
            rows[there] = to_stored(features, self.column).flatten(1)
        return pa.FixedSizeListArray.from_arrays(pa.array(rows.numpy().reshape(-1)), self.column.values)


def _failure(error: str) -> dict[str, Any]:
    return {"file": "", "bytes": 0, "seconds": 0.0, "error": error}


def to_stored(features: Tensor, column: Column) -> Tensor:
    """[pictures, tokens, width] as float16. Raises ValueError where shape or range does not fit the column."""
    import torch

    if tuple(features.shape[1:]) != (column.tokens, column.width):
        expected = [column.tokens, column.width]
        raise ValueError(f"gives features of shape {list(features.shape[1:])} where {expected} was declared")
    stored = features.detach().to("cpu", torch.float16)
    if not torch.isfinite(stored).all():
        raise ValueError("gives values that float16 cannot hold (beyond 65504, or not a number)")
    return stored


def open_picture(path: str) -> Image.Image:
    """The picture as RGB, decoded. Raises PictureError."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    # As in the audit: a decoder may raise anything.
    except Exception as error:
        raise PictureError(f"picture {path} cannot be read: {one_line(error)}") from None
