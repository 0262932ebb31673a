"""What is said before a build starts, on tables written without Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.features import rows
from opabinia.features.encoder_source import Column
from opabinia.features.measuring import measure_encoding, measure_reading
from opabinia.features.plan import ColumnPlan, FeaturePlan, count_missing, missing_bytes, render_plan
from opabinia.features.precision import Precision
from opabinia.features.rows import open_rows
from tests.features.conftest import save_pictures
from tests.features.encoders import SmallEncoders
from tests.features.writing import write_table

SOURCE = SmallEncoders()


def plan(folder: Path, *columns: ColumnPlan, workers: int = 1) -> FeaturePlan:
    return FeaturePlan(folder, 5000, 64, workers, "cpu", columns)


def test_only_pictures_without_features_of_that_encoder_count_as_missing(
    tmp_path: Path, pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "FRAGMENT_ROWS", 8)
    folder, mean, wide = tmp_path / "features", SOURCE.column("mean"), SOURCE.column("wide")
    assert count_missing(open_rows(folder), list(pictures), mean) == 30
    write_table(folder, pictures, ["mean"], only=2)
    grown = list(pictures) + list(save_pictures(tmp_path / "more", 5, first=50))
    assert count_missing(open_rows(folder), list(pictures), mean) == 30 - 16
    assert count_missing(open_rows(folder), grown, mean) == 35 - 16
    assert count_missing(open_rows(folder), grown, wide) == 35
    assert missing_bytes(folder, grown, [mean, wide]) == 19 * 3 * 2 + 35 * 16 * 2


def test_the_plan_says_what_it_takes_what_is_cheaper_and_what_resampling_saves(tmp_path: Path) -> None:
    slow = ColumnPlan("slow", Column("slow@1", 576, 1024, "bfloat16"), 4000, encode_s=0.09, read_s=0.002)
    small = ColumnPlan("small", Column("small@1", 4, 8, "bfloat16"), 0, encode_s=0.001, read_s=0.0015)
    text = render_plan(plan(tmp_path, slow, small, workers=2), side=12)
    head, columns, first, second, total, *_ = text.splitlines()
    assert head == f"features: 5,000 pictures, as bfloat16, in {tmp_path}"
    assert columns.split("  ")[0] == "encoder" and columns.endswith("at 12 × 12")
    assert first.split() == [
        "slow",
        "4,000",
        "4.7",
        "GB",
        "90.00",
        "ms",
        "2.00",
        "ms",
        "reading",
        "0:03:00",
        "1.2",
        "GB",
        "(−75%)",
    ]
    assert second.split() == ["small", "0", "0.0", "kB", "1.00", "ms", "1.50", "ms", "encoding", "0:00:00", "–"]
    assert total.split() == ["all", "4.7", "GB", "0:03:00", "1.2", "GB", "(−75%)"]
    assert "estimate from encoding at most 64 pictures" in text


def test_pictures_that_fill_one_fragment_keep_one_process_busy(tmp_path: Path) -> None:
    few = ColumnPlan("few", Column("few@1", 4, 8), rows.FRAGMENT_ROWS, encode_s=0.01, read_s=0.001)
    assert plan(tmp_path, few, workers=8).seconds(few) == pytest.approx(rows.FRAGMENT_ROWS * 0.01)


def test_grids_smaller_than_the_queries_are_never_enlarged() -> None:
    column = ColumnPlan("eye", Column("eye@1", 16, 8, "int8"), 10, encode_s=1, read_s=1)
    assert column.resampled_bytes(8) == column.bytes == 10 * 16 * (8 + 4)
    assert column.resampled_bytes(2) == column.bytes // 4


def test_encoding_is_measured_on_real_pictures(pictures: dict[str, str]) -> None:
    columns = {encoder: SOURCE.column(encoder) for encoder in ("slow", "mean")}
    seconds = measure_encoding(list(pictures.values())[:10], columns, SOURCE, threads=1)
    # It sleeps 0.25 s a call whatever it is given; two seconds allow all ten pictures at once.
    assert 0.025 <= seconds["slow"] < 0.1
    assert 0 < seconds["mean"] < seconds["slow"]


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_reading_is_measured_on_the_tables_own_disk_and_leaves_nothing(tmp_path: Path, precision: Precision) -> None:
    large, small = Column("a@1", 64, 256, precision), Column("b@1", 1, 8, precision)
    seconds = measure_reading(tmp_path / "features.lance", {"large": large, "small": small})
    assert 0 < seconds["small"] < seconds["large"] < 1
    assert list(tmp_path.iterdir()) == []
