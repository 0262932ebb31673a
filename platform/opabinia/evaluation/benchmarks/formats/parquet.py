"""Parquet files through pyarrow, which publishes no types."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def open_parquet(file: Path) -> Any:
    """A pyarrow.parquet.ParquetFile. Raises ValueError, naming the file, where it is none or is damaged."""
    # Here, because pyarrow takes a quarter of a second that a user of --help would wait for.
    parquet: Any = import_module("pyarrow.parquet")
    damaged: Any = import_module("pyarrow").ArrowException
    try:
        return parquet.ParquetFile(file)
    except (OSError, damaged) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"benchmark.files: {file} cannot be read as parquet ({reason}); fetch it again") from None
