"""Records that are there twice within a prepared data set; of copies the first stays."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opabinia.data.arrays import save_array
from opabinia.data.deduplication.contents import Contents
from opabinia.data.deduplication.near import Places, first_alike
from opabinia.data.deduplication.pictures import PictureHash, PictureHashes, gather_hashes
from opabinia.data.deduplication.settings import DeduplicationConfig
from opabinia.data.scramble import STEP, Words, scramble
from opabinia.storage.atomic import whole_text


@dataclass(frozen=True, slots=True)
class Duplicates:
    """first: [rows], for each row the first row that it is a copy of, or its own number. problems: pictures that could not be read."""

    first: Places
    problems: dict[str, str]

    @property
    def rows(self) -> Places:
        """The rows that stay, rising."""
        return np.flatnonzero(self.first == np.arange(len(self.first)))

    @property
    def dropped(self) -> Places:
        """[copies, 2]: the row of each copy, and the row that stays for it."""
        copies = np.flatnonzero(self.first != np.arange(len(self.first)))
        return np.stack([copies, self.first[copies]], axis=1)


def find_duplicates(contents: Contents, hashes: Iterable[PictureHash], distance: int | None) -> Duplicates:
    """Rows with equal text and the same pictures in the same order; `hashes` are of `contents.names`, in their order.

    A picture that cannot be read is the same as itself only.
    """
    pictures = gather_hashes(hashes)
    alike = _alike(pictures, len(contents.names), distance)
    own = _scrambled_sums(alike[contents.pictures].astype(np.uint64), contents.starts)
    _, first, inverse = np.unique(scramble(contents.texts) ^ own, return_index=True, return_inverse=True)
    return Duplicates(first[inverse].astype(np.int64), pictures.problems)


def deduplicate(
    settings: DeduplicationConfig, rows: Places, contents: Contents, hashes: Iterable[PictureHash], folder: Path
) -> Duplicates:
    """Find the duplicates among rows of an index, of which `contents` tells what they hold; `hashes` as for `find_duplicates`.

    Writes rows.npy (int64, the rows of the index that stay, rising), duplicates.jsonl ({"row", "copy_of"}) and report.json into the
    folder.
    """
    found = find_duplicates(contents, hashes, settings.distance)
    save_array(rows[found.rows], folder / "rows.npy")
    with whole_text(folder / "duplicates.jsonl") as text:
        for row, original in rows[found.dropped].tolist():
            text.write(json.dumps({"row": row, "copy_of": original}) + "\n")
    with whole_text(folder / "report.json") as text:
        counts = {"records": len(found.first), "kept": len(found.rows), "pictures": len(contents.names)}
        text.write(json.dumps(counts | {"unreadable": found.problems}, indent=1, ensure_ascii=False) + "\n")
    return found


def _alike(pictures: PictureHashes, count: int, distance: int | None) -> Places:
    """[count]: the place of the first picture that each is the same as."""
    alike = np.arange(count)
    if distance is None:
        _, first, inverse = np.unique(pictures.contents, return_index=True, return_inverse=True)
        alike[pictures.places] = pictures.places[first[inverse]]
    else:
        alike[pictures.places] = pictures.places[first_alike(pictures.differences, distance)]
    return alike


def _scrambled_sums(values: Words, starts: Places) -> Words:
    """[rows]: one number for the values of each row, in which their order and number count."""
    order = (np.arange(len(values)) - np.repeat(starts[:-1], np.diff(starts))).astype(np.uint64)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(scramble(scramble(values) + order * STEP))])
    return scramble(sums[starts[1:]] - sums[starts[:-1]])
