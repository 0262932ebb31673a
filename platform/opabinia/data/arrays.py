"""Arrays of numbers as .npy files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opabinia.storage.atomic import whole_file


def save_array(array: NDArray[Any], file: Path) -> None:
    """Write an array, the file whole or not at all.

    By way of memory, because what NumPy itself raises on a full disk does not say so.
    """
    held = BytesIO()
    np.save(held, array, allow_pickle=False)
    with whole_file(file) as handle:
        handle.write(held.getbuffer())


def load_array(file: Path) -> NDArray[Any]:
    """The array of a file, mapped: only what is looked at takes memory."""
    array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array
