from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opabinia.tracking.ablation import grid
from opabinia.tracking.heat_cells import _luminance, _readable_ink, _wording, colour_scale
from opabinia.tracking.heat_map import _layout, draw_family_maps, draw_heat_map
from tests.tracking.specimens import row

ROWS = [
    row("mim-vit", "mlp2x_gelu", 50),
    row("mim-vit", "sva", 41, status="stopped", steps=120),
    row("clip-vit", "mlp2x_gelu", 60),
    row("clip-vit", "sva", 64),
    row("clip-vit+mim-vit", "mlp2x_gelu", 70),
    row("clip-vit+mim-vit", "sva", None, status="failed", steps=10),
]


def test_rows_are_ordered_by_their_mean_and_columns_as_they_came() -> None:
    layout = _layout(ROWS, height=0.7, narrowest=1.7)
    assert layout.rows == ("clip-vit + mim-vit", "clip-vit", "mim-vit")
    assert layout.columns == ("mlp2x_gelu", "sva")


def test_cells_say_how_their_score_came_about() -> None:
    cells = grid([*ROWS, row("clip-vit", "sva", 66, seed=1)])
    assert _wording(cells["clip-vit", "sva"]) == ("65.0", "64.0 to 66.0, 2 seeds")
    assert _wording(cells["mim-vit", "sva"]) == ("41.0", "stopped, step 120")
    assert _wording(cells["clip-vit + mim-vit", "sva"]) == ("–", "failed, step 10")
    assert _wording(cells["clip-vit", "mlp2x_gelu"]) == ("60.0", "")
    assert _wording(None) == ("–", "")


def test_cells_with_an_interval_say_how_far_it_reaches_and_over_how_many_seeds() -> None:
    cells = grid([*ROWS, row("clip-vit", "sva", 66, seed=1)], half_widths={place: 2.14 for place in grid(ROWS)})
    assert _wording(cells["clip-vit", "sva"]) == ("65.0", "±2.1, 2 seeds")
    assert _wording(cells["clip-vit", "mlp2x_gelu"]) == ("60.0", "±2.1")
    assert _wording(cells["mim-vit", "sva"]) == ("41.0", "stopped, step 120")


def test_intervals_are_drawn_and_explained(tmp_path: Path) -> None:
    draw_heat_map(ROWS, tmp_path / "plain.png", title="sweep")
    draw_heat_map(ROWS, tmp_path / "map.png", title="sweep", half_widths={("clip-vit", "sva"): 2.1})
    plain, drawn = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("plain.png", "map.png"))
    assert drawn.shape[0] >= plain.shape[0]
    assert (drawn < 200).sum() > (plain < 200).sum()


def test_the_colour_scale_covers_what_finished_and_does_not_magnify_noise() -> None:
    assert (colour_scale(grid(ROWS)).norm.vmin, colour_scale(grid(ROWS)).norm.vmax) == (50, 70)
    close = colour_scale(grid([row("a", score=60), row("b", score=60.5)])).norm
    assert close.vmax - close.vmin == pytest.approx(5)


@pytest.mark.parametrize("face", ["#ffffd9", "#41b6c4", "#1d91c0", "#225ea8", "#081d58"])
def test_letters_on_every_colour_have_a_contrast_of_at_least_four(face: str) -> None:
    high, low = sorted((_luminance(face), _luminance(_readable_ink(face))), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4


def test_finished_cells_are_coloured_and_stopped_ones_are_grey(tmp_path: Path) -> None:
    draw_heat_map(ROWS, tmp_path / "map.png", title="three encoders")
    pixels = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).reshape(-1, 3)
    colours = {tuple(pixel) for pixel in np.unique(pixels, axis=0)}
    norm = colour_scale(grid(ROWS))
    best = tuple(round(255 * channel) for channel in norm.to_rgba(70.0)[:3])
    assert best in colours
    assert (0xE6, 0xE9, 0xEC) in colours


@pytest.mark.parametrize("count", [1, 12])
def test_pictures_grow_with_the_sweep_and_are_never_empty(tmp_path: Path, count: int) -> None:
    rows = [row(f"encoder-{n}", connector, 50 + n) for n in range(count) for connector in ("mlp2x_gelu", "sva")]
    draw_heat_map(rows, tmp_path / "map.png", title="sweep")
    draw_family_maps(rows, tmp_path / "families.png", title="sweep")
    for name in ("map.png", "families.png"):
        picture = Image.open(tmp_path / name).convert("L")
        assert picture.height > 300 + 60 * count * (name == "map.png")
        assert picture.getextrema()[0] < 60


def test_a_sweep_in_which_nothing_was_scored_still_has_a_heat_map_but_no_families(tmp_path: Path) -> None:
    failed = [row(score=None, status="failed")]
    draw_heat_map(failed, tmp_path / "map.png", title="sweep")
    assert (tmp_path / "map.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="no trial has family scores"):
        draw_family_maps(failed, tmp_path / "families.png", title="sweep")
    with pytest.raises(ValueError, match="no trials to draw"):
        draw_heat_map([], tmp_path / "none.png", title="sweep")
