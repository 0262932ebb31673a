"""What pictures are compared by: the sha256 of the file, and a hash that survives rescaling and recompression."""

from __future__ import annotations

import hashlib
import warnings
from array import array
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from opabinia.data.pictures import PictureError, check_picture
from opabinia.data.preparation.examining import read_picture
from opabinia.data.scramble import Words

_SIDE = 8
_WINDOW = 512


@dataclass(frozen=True, slots=True)
class PictureHash:
    """A picture's path as given, the sha256 (32 bytes) of its file and its difference hash, or why it has none."""

    path: str
    content: bytes
    difference: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PictureHashes:
    """The pictures that could be read, some hundred bytes each.

    places: [n], which of the pictures given each is. paths: as given. contents: [n], sha256 of 32 bytes. differences: [n], difference
    hashes. problems: path -> why it could not be read, of all others.
    """

    places: NDArray[np.int64]
    paths: tuple[str, ...]
    contents: NDArray[np.void]
    differences: Words
    problems: dict[str, str]


def difference_hash(image: Image.Image) -> int:
    """64 bits, one for each of 8×8 places: whether the picture is brighter to the right of it.

    The usual dHash: luminance, 9×8 pixels by Lanczos, rows from the top, the first place in the highest bit.
    """
    small = np.asarray(image.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.LANCZOS), dtype=np.int16)
    brighter = small[:, 1:] > small[:, :-1]
    return int.from_bytes(np.packbits(brighter).tobytes(), "big")


def hash_pictures(paths: Iterable[str], images: str | Path, workers: int) -> Iterator[PictureHash]:
    """Hash pictures, paths relative to the folder or address, in their order, on as many threads; a few hundred are under way.

    Raises ValueError when it cannot be told whether a picture is sound: see `read_picture`.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(workers) as threads:
        while window := list(islice(remaining, _WINDOW)):
            yield from threads.map(partial(_hash_picture, str(images)), window)


def gather_hashes(hashes: Iterable[PictureHash]) -> PictureHashes:
    """Collect hashes into arrays."""
    places, paths, contents, differences = array("q"), list[str](), bytearray(), array("Q")
    problems = dict[str, str]()
    for place, picture in enumerate(hashes):
        if picture.problem:
            problems[picture.path] = picture.problem
            continue
        places.append(place)
        paths.append(picture.path)
        contents += picture.content
        differences.append(picture.difference)
    return PictureHashes(
        np.array(places, dtype=np.int64),
        tuple(paths),
        np.frombuffer(bytes(contents), dtype="V32"),
        np.array(differences, dtype=np.uint64),
        problems,
    )


def _hash_picture(images: str, path: str) -> PictureHash:
    try:
        content = read_picture(images, path)
        return PictureHash(path, hashlib.sha256(content).digest(), _decoded_hash(content))
    except PictureError as error:
        return PictureHash(path, b"", 0, str(error))


def _decoded_hash(content: bytes) -> int:
    check_picture(content)
    with warnings.catch_warnings(), Image.open(BytesIO(content)) as image:
        warnings.simplefilter("ignore")
        return difference_hash(image)
