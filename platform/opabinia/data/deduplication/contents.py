"""What the records of a data set are compared by, as numbers."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opabinia.data.arrays import load_array, save_array
from opabinia.data.deduplication.near import Places
from opabinia.data.deduplication.records import picture_names, text_number
from opabinia.data.scramble import Words
from opabinia.storage.atomic import whole_text

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Contents:
    """The texts and pictures of records, some tens of bytes a record.

    texts: [rows], a number for each text. pictures: [all pictures], places in `names`, of row r from starts[r] to starts[r + 1].
    names: the different picture paths, in the order of first use.
    """

    texts: Words
    pictures: Places
    starts: Places
    names: tuple[str, ...]

    def shown_by(self, rows: Mask) -> Mask:
        """[names]: whether any of the rows that are set in the mask shows the picture."""
        shown = np.zeros(len(self.names), dtype=np.bool_)
        shown[self.pictures[rows[self._row_of_each]]] = True
        return shown

    def showing(self, pictures: Mask) -> Mask:
        """[rows]: whether the row shows any of the pictures that are set in the mask."""
        showing = np.zeros(len(self.texts), dtype=np.bool_)
        showing[self._row_of_each[pictures[self.pictures]]] = True
        return showing

    @property
    def _row_of_each(self) -> Places:
        return np.repeat(np.arange(len(self.texts)), np.diff(self.starts))


def read_contents(records: Iterable[Mapping[str, Any]]) -> Contents:
    """Go through sound records once, keeping numbers only."""
    texts, pictures, starts = array("Q"), array("q"), array("q", [0])
    places = dict[str, int]()
    for record in records:
        texts.append(text_number(record))
        pictures.extend(places.setdefault(name, len(places)) for name in picture_names(record))
        starts.append(len(pictures))
    return Contents(
        np.array(texts, dtype=np.uint64),
        np.array(pictures, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        tuple(places),
    )


def save_contents(contents: Contents, folder: Path) -> None:
    """Write texts.npy, pictures.npy, starts.npy and names.ndjson into a folder."""
    for name in ("texts", "pictures", "starts"):
        save_array(getattr(contents, name), folder / f"{name}.npy")
    with whole_text(folder / "names.ndjson") as text:
        text.writelines(json.dumps(name, ensure_ascii=False) + "\n" for name in contents.names)


def load_contents(folder: Path) -> Contents:
    """What `save_contents` wrote."""
    texts, pictures, starts = (load_array(folder / f"{name}.npy") for name in ("texts", "pictures", "starts"))
    with (folder / "names.ndjson").open("rb") as lines:
        return Contents(texts, pictures, starts, tuple(json.loads(line) for line in lines))
