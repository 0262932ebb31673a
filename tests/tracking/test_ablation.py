from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from opabinia.tracking.ablation import COLUMNS, SUMMARY, as_csv, as_markdown, grid, table_rows
from tests.tracking.specimens import row

BEST = replace(row("clip-vit+mim-vit", score=75), low=72.1, high=77.4)
ROWS = [row("mim-vit", score=60), BEST, row("dense", score=None, status="failed")]


def test_rows_are_ranked_and_a_trial_without_a_score_has_no_rank() -> None:
    ranked = [dict(zip(COLUMNS, values, strict=True)) for values in table_rows(ROWS)]
    assert [(r["rank"], r["encoders"], r["average"]) for r in ranked] == [
        (1, "clip-vit + mim-vit", 75),
        (2, "mim-vit", 60),
        (None, "dense", None),
    ]
    assert ranked[0]["ocr_chart"] == 65
    assert ranked[0]["vision_gain"] == 37


def test_csv_reads_back_with_empty_cells_where_nothing_was_measured() -> None:
    read = list(csv.DictReader(io.StringIO(as_csv(ROWS))))
    assert tuple(read[0]) == COLUMNS
    assert float(read[0]["average"]) == 75
    assert [(line["low"], line["high"]) for line in read] == [("72.1", "77.4"), ("", ""), ("", "")]
    assert read[2]["average"] == ""


def test_markdown_escapes_what_would_break_a_column() -> None:
    lines = as_markdown([row(connector="a|b")]).splitlines()
    assert len(lines) == 3
    assert all(line.replace(r"\|", "").count("|") == len(COLUMNS) + 1 for line in lines)


def test_markdown_can_be_cut_to_the_columns_of_a_summary() -> None:
    heading, _, first, *_ = as_markdown(ROWS, SUMMARY).splitlines()
    assert (
        heading
        == "| rank | encoders | connector | seed | status | average | low | high | blind average | random average | vision gain |"
    )
    assert first == "| 1 | clip-vit + mim-vit | sva | 0 | finished | 75.0 | 72.1 | 77.4 | 40.0 | 27.3 | 37.0 |"


def test_a_cell_is_the_mean_over_seeds_with_its_range() -> None:
    cells = grid([row(score=60), row(score=70, seed=1), row(score=80, seed=2)])
    cell = cells["clip-vit", "sva"]
    assert (cell.score, cell.lowest, cell.highest, cell.seeds) == (70, 60, 80, 3)


def test_a_cells_interval_is_given_and_only_for_what_finished() -> None:
    rows = [row("a", score=60), row("b", score=50, status="stopped"), row("c", score=40)]
    cells = grid(rows, half_widths={("a", "sva"): 3.1, ("b", "sva"): 2.0})
    assert [cell.half_width for cell in cells.values()] == [3.1, None, None]


def test_a_stopped_seed_does_not_pull_down_the_finished_ones() -> None:
    cell = grid([row(score=70), row(score=20, seed=1, status="stopped")])["clip-vit", "sva"]
    assert (cell.score, cell.status, cell.seeds) == (70, "finished", 1)


def test_a_cell_of_stopped_trials_says_so_and_where() -> None:
    cell = grid([row(score=40, status="stopped", steps=120)])["clip-vit", "sva"]
    assert (cell.score, cell.status, cell.steps) == (40, "stopped", 120)


def test_a_family_has_a_grid_of_its_own() -> None:
    assert grid([row(score=70)], "ocr_chart")["clip-vit", "sva"].score == pytest.approx(60)
    assert grid([row(score=None, status="failed")], "ocr_chart")["clip-vit", "sva"].score is None
