"""The plot of cumulative counts: one line a limit, at the heights that the limits leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opabinia.data.curation.plot import draw_cumulative_counts
from tests.data.curation.indexes import CAMBRIAN_10M


def line_ends(file: Path) -> int:
    """Stretches of ink in a column just left of where the lines end, the axis at the bottom included."""
    picture = np.asarray(Image.open(file).convert("RGB")).min(axis=2)
    width = picture.shape[1]
    column = picture[: int(0.9 * picture.shape[0]), int(0.785 * width)] < 200
    return int((column[1:] & ~column[:-1]).sum())


def test_each_limit_that_cuts_something_off_has_a_line(tmp_path: Path) -> None:
    counts = [round(1000 * size) for size in CAMBRIAN_10M.values()]
    ends = list[int]()
    for number, limits in enumerate([[], [150_000], [150_000, 250_000, 350_000, 450_000], [9_000_000]]):
        draw_cumulative_counts(counts, limits, tmp_path / f"{number}.png")
        ends.append(line_ends(tmp_path / f"{number}.png"))
    axis_and_no_limit = ends[0]
    assert ends == [axis_and_no_limit, axis_and_no_limit + 1, axis_and_no_limit + 4, axis_and_no_limit]


def test_one_source_can_be_drawn_and_none_is_refused(tmp_path: Path) -> None:
    draw_cumulative_counts([5], [3], tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="no sources to draw"):
        draw_cumulative_counts([], [3], tmp_path / "none.png")
