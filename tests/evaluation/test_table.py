from __future__ import annotations

from dataclasses import replace

import pytest

from opabinia.evaluation.statistics.intervals import Interval
from opabinia.evaluation.table import WIDTH, render_table
from tests.evaluation.specimens import report, scores

REPORTS = [
    report(
        "b",
        encoders=("burgess/mim-vit",),
        status="stopped",
        with_image=scores(50, 60, 30, 40),
        blind=scores(40, 60, 20, 30),
    ),
    report(
        "a",
        encoders=("burgess/clip-vit", "burgess/mim-vit"),
        with_image=scores(80, 90, 70, 60),
        blind=scores(40, 88, 20, 30),
    ),
    report("c", status="failed", connector="mlp2x_gelu"),
]


def test_rows_are_ranked_and_complete() -> None:
    heading, rule, first, second, third, *_ = render_table(REPORTS).splitlines()
    assert heading.split() == [
        "#",
        "encoders",
        "connector",
        "seed",
        "status",
        "steps",
        *"GKOV",
        "avg",
        "blind",
        "random",
        "gain",
    ]
    assert set(rule) == {"─", " "}
    cells = [" ".join(row.split()) for row in (first, second, third)]
    assert cells == [
        "1 clip-vit + mim-vit sva 0 finished 600 80.0 90.0 70.0 60.0 75.0 44.5 25.0 +40.0",
        "2 mim-vit sva 0 stopped* 600 50.0 60.0 30.0 40.0 45.0 37.5 25.0 +10.0",
        "– clip-vit mlp2x_gelu 0 failed 600 – – – – – – – –",
    ]


def test_columns_line_up() -> None:
    heading, _, *rows = render_table(REPORTS).splitlines()[:5]
    for name in ("avg", "blind", "random", "gain"):
        edge = heading.index(name) + len(name)
        assert all(row[edge - 1] != " " and row[edge : edge + 1] in ("", " ") for row in rows)


def test_a_legend_explains_the_letters_and_the_star_only_where_there_is_one() -> None:
    assert "* stopped early" in render_table(REPORTS)
    assert "* stopped early" not in render_table(REPORTS[1:])
    assert "V vision-centric" in render_table(REPORTS)


@pytest.mark.parametrize("encoders", [1, 3, 8])
def test_no_line_is_wider_than_a_terminal_and_no_name_is_lost(encoders: int) -> None:
    names = tuple(f"publisher/a-rather-long-encoder-{n}" for n in range(encoders))
    wide = replace(REPORTS[1], encoders=names, connector="c_abstractor,depth=3,queries=144,kernel=5")
    lines = render_table([wide, *REPORTS]).splitlines()
    assert max(map(len, lines)) <= WIDTH
    column = lines[0].index("encoders")
    edge = lines[0].index("connector")
    cell = "".join(line[column:edge] for line in lines[2:])
    assert all(f"a-rather-long-encoder-{n}" in cell.replace(" ", "") for n in range(encoders))
    connectors = "".join(line[edge : lines[0].index("seed")] for line in lines[2:])
    assert "c_abstractor,depth=3,queries=144,kernel=5" in connectors.replace(" ", "")


def test_three_shipped_encoders_fit_on_one_line_of_a_sweep_with_two_digit_ranks() -> None:
    names = ("burgess/caption-vit", "burgess/mim-vit", "burgess/dense-convnext")
    reports = [replace(REPORTS[1], trial_id=str(n), encoders=names, connector="mlp2x_gelu") for n in range(12)]
    lines = render_table(reports).splitlines()
    assert all("caption-vit + mim-vit + dense-convnext  mlp2x_gelu" in line for line in lines[2:14])
    assert max(map(len, lines)) <= WIDTH


def test_the_average_has_its_interval_where_one_is_known() -> None:
    intervals = {"a": Interval(75.0, 71.9, 78.1, seeds=1, images=225)}
    lines = render_table(REPORTS, intervals).splitlines()
    assert "60.0 75.0 ±3.1  44.5   25.0 +40.0" in lines[2]
    assert "40.0      45.0  37.5   25.0 +10.0" in lines[3]
    assert max(map(len, lines)) <= WIDTH
    assert "± 95 % interval over the questions" in "\n".join(lines)
    assert "±" not in render_table(REPORTS)


def test_mixed_prompts_are_warned_of() -> None:
    assert "do not compare" in render_table([REPORTS[0], replace(REPORTS[1], prompt_kind="letter")])
    assert "do not compare" not in render_table(REPORTS)


def test_no_trials_are_said_so() -> None:
    assert render_table([]) == "no trials"
