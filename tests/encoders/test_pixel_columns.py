"""Squares of bytes travel as Arrow columns, and arrive in order however the rows were cut and joined."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opabinia.data.arrow import pa
from opabinia.data.pictures import PictureError
from opabinia.encoders.fitting import Fitting
from opabinia.encoders.pixel_columns import pixel_array, pixel_field, pixel_tensor, with_pixels
from opabinia.encoders.pixels import read_pixels
from tests.encoders.pictures import file_of, noise

SIDE = Fitting(4, "stretch")
PADDED = Fitting(6, "pad", (1, 2, 3))


def square(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)


# The first example pays for imports.
@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=4))
def test_squares_arrive_in_the_order_of_the_rows(counts: list[int], cuts: list[tuple[int, int]]) -> None:
    ends = np.cumsum([0, *counts])
    rows = [[square(seed) for seed in range(start, end)] for start, end in pairwise(ends)]
    whole = pa.table([pixel_array(rows, SIDE)], schema=pa.schema([pixel_field(SIDE)]))
    parts = [whole.slice(start, length) for start, length in cuts]
    joined = pa.concat_tables([whole.slice(0, 0), *parts])
    expected = [one for start, length in cuts for row in rows[start : start + length] for one in row]
    arrived = pixel_tensor(joined[SIDE.name], SIDE)
    assert arrived.dtype == torch.uint8 and arrived.shape == (len(expected), 4, 4, 3)
    assert all((one.numpy() == other).all() for one, other in zip(arrived, expected, strict=True))


def test_a_sent_batch_is_no_longer_needed_once_it_is_a_tensor() -> None:
    squares = np.stack([square(1), square(2)])
    column = pa.chunked_array([pixel_array([list(squares)], SIDE)])
    arrived = pixel_tensor(column, SIDE)
    arrived.zero_()
    assert (pixel_tensor(column, SIDE).numpy() == squares).all()


def test_rows_gain_the_pixels_of_their_pictures(tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(file_of(noise(9, 5, seed), "PNG"))
    addresses = [str(tmp_path / f"{seed}.png") for seed in (2, 0, 1)]
    table = pa.table({"images": [addresses[:1], [], addresses[1:]], "input_ids": [[1], [2], [3]]})
    joined = with_pixels(table, (SIDE, PADDED))
    assert joined.drop_columns([SIDE.name, PADDED.name]).equals(table)
    for place, fitting in enumerate((SIDE, PADDED)):
        expected = [read_pixels(Path(address).read_bytes(), (SIDE, PADDED))[place] for address in addresses]
        assert (pixel_tensor(joined[fitting.name], fitting).numpy() == np.stack(expected)).all()


def test_rows_without_any_picture_have_no_pixels() -> None:
    joined = with_pixels(pa.table({"images": pa.array([[], []], pa.list_(pa.string()))}), (SIDE,))
    assert pixel_tensor(joined[SIDE.name], SIDE).shape == (0, 4, 4, 3)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    for address, reason in ((tmp_path / "lost.jpg", "is missing"), (broken, "cannot identify")):
        with pytest.raises(PictureError, match=f"^picture {address}: {reason}"):
            with_pixels(pa.table({"images": [[str(address)]]}), (SIDE,))
