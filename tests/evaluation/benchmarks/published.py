"""Small files in the schemas in which the benchmarks are published."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the hub keeps a picture in parquet."""

Rows = Sequence[dict[str, Any]]


def png(shade: int) -> bytes:
    """A picture that is told from others by its shade, 0 to 255."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (shade, 0, 0)).save(stream, "png")
    return stream.getvalue()


def picture(shade: int) -> dict[str, Any]:
    """Its path is empty, as in files that the hub converted."""
    return {"bytes": png(shade), "path": None}


def base64_picture(shade: int) -> str:
    return base64.b64encode(png(shade)).decode()


def write_parquet(file: Path, rows: Rows, pictures: dict[str, pa.DataType] | None = None, group: int = 2) -> Path:
    """`pictures`: columns and their types; `group`: rows in a row group."""
    pictures = {"image": PICTURE} if pictures is None else pictures
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [pa.array([row.get(name) for row in rows], type=pictures.get(name)) for name in names]
    parquet.write_table(pa.table(columns, names=names), file, row_group_size=group)
    return file


def write_jsonl(file: Path, rows: Rows) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def shade_of(image: Image.Image) -> int:
    pixel = image.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return int(pixel[0])
