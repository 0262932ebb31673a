"""Tables written without Ray, so that reading is tested by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from opabinia.features import rows
from opabinia.features.packing import pack
from opabinia.features.precision import Precision
from opabinia.features.rounding import column_rounding
from opabinia.features.rows import delete_rows
from opabinia.features.table import FeatureReader
from tests.features.encoders import ENCODERS, SmallEncoders
from tests.features.writing import write_table

SOURCE = SmallEncoders()


@pytest.fixture
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FRAGMENT_ROWS", 8)


@pytest.fixture
def table(tmp_path: Path, pictures: dict[str, str], small_fragments: None) -> Path:
    write_table(tmp_path / "features", pictures, ["mean", "patches"])
    return tmp_path / "features"


def expected(encoder: str, pictures: dict[str, str], keys: list[str]) -> torch.Tensor:
    return ENCODERS[encoder]([Image.open(pictures[key]).convert("RGB") for key in keys])


MODES = pytest.mark.parametrize("memory_mib", [0, 64], ids=["disk", "memory"])


@MODES
def test_reading_gives_what_encoding_gave_within_float16(
    table: Path, pictures: dict[str, str], memory_mib: int
) -> None:
    reader = FeatureReader(table, ["mean", "patches"], memory_mib=memory_mib, source=SOURCE)
    keys = list(pictures)
    for encoder, features in reader.read(keys).items():
        assert features.dtype == torch.float32
        torch.testing.assert_close(features, expected(encoder, pictures, keys), rtol=2**-11, atol=1e-6)


@MODES
def test_keys_come_back_in_the_order_asked_with_repeats(table: Path, pictures: dict[str, str], memory_mib: int) -> None:
    reader = FeatureReader(table, ["patches"], memory_mib=memory_mib, source=SOURCE)
    keys = list(np.random.default_rng(0).choice(list(pictures), size=100))
    single = {key: reader.read([key])["patches"][0] for key in pictures}
    assert torch.equal(reader.read(keys)["patches"], torch.stack([single[key] for key in keys]))


@MODES
def test_no_keys_give_no_rows_of_the_right_shape(table: Path, memory_mib: int) -> None:
    reader = FeatureReader(table, ["mean", "patches"], memory_mib=memory_mib, source=SOURCE)
    assert {encoder: tuple(f.shape) for encoder, f in reader.read([]).items()} == {
        "mean": (0, 1, 3),
        "patches": (0, 4, 3),
    }


@MODES
def test_deleted_rows_are_gone_and_the_others_stay_where_they_were(
    table: Path, pictures: dict[str, str], memory_mib: int
) -> None:
    opened = rows.open_rows(table)
    assert opened is not None
    delete_rows(opened, list(pictures)[3:7])
    reader = FeatureReader(table, ["mean"], memory_mib=memory_mib, source=SOURCE)
    kept = list(pictures)[:3] + list(pictures)[7:]
    torch.testing.assert_close(reader.read(kept)["mean"], expected("mean", pictures, kept), rtol=2**-11, atol=1e-6)
    with pytest.raises(ValueError, match="lacks 4 of the pictures"):
        reader.read(list(pictures))


def test_unknown_keys_are_named(table: Path, pictures: dict[str, str]) -> None:
    reader = FeatureReader(table, ["mean"], source=SOURCE)
    with pytest.raises(ValueError, match=r"features: .* lacks 2 of the pictures \(abc, def\); build it again"):
        reader.read([next(iter(pictures)), "abc", "def", "abc"])


@MODES
def test_rows_that_an_unfinished_build_left_are_missing_never_zero(
    tmp_path: Path, pictures: dict[str, str], small_fragments: None, memory_mib: int
) -> None:
    write_table(tmp_path / "features", pictures, ["mean"], only=2)
    reader = FeatureReader(tmp_path / "features", ["mean"], memory_mib=memory_mib, source=SOURCE)
    filled = sorted(pictures)[:16]
    torch.testing.assert_close(reader.read(filled)["mean"], expected("mean", pictures, filled), rtol=2**-11, atol=1e-6)
    with pytest.raises(ValueError, match="lacks 14 of the pictures"):
        reader.read(list(pictures))


def test_other_weights_are_another_column(table: Path) -> None:
    with pytest.raises(ValueError, match="holds nothing of mean with its present weights"):
        FeatureReader(table, ["mean"], source=SmallEncoders(weights="2"))


def test_a_folder_without_a_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no feature table"):
        FeatureReader(tmp_path / "nowhere", ["mean"], source=SOURCE)


def test_only_the_asked_columns_are_read(table: Path, pictures: dict[str, str]) -> None:
    opened = rows.open_rows(table)
    assert opened is not None
    patches = next(field.id() for field in opened.lance_schema.fields() if field.name() == "patches@1")
    for fragment in opened.get_fragments():
        for file in fragment.metadata.files:
            if file.fields == [patches]:
                (table / "data" / file.path).unlink()
    for memory_mib in (0, 64):
        assert FeatureReader(table, ["mean"], memory_mib=memory_mib, source=SOURCE).read(list(pictures))["mean"].any()


@MODES
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_every_precision_is_read_back_as_it_was_stored(
    tmp_path: Path, pictures: dict[str, str], small_fragments: None, precision: Precision, memory_mib: int
) -> None:
    write_table(tmp_path / "features", pictures, ["wide", "patches"], precision=precision)
    keys = list(np.random.default_rng(0).choice(list(pictures), size=50))
    found = FeatureReader(tmp_path / "features", ["patches", "wide"], memory_mib=memory_mib, source=SOURCE).read(keys)
    for encoder, features in found.items():
        column = replace(SOURCE.column(encoder), precision=precision)
        assert torch.equal(features, pack(expected(encoder, pictures, keys), column).unpacked())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_deleted_rows_leave_the_places_of_the_others_in_every_precision(
    tmp_path: Path, pictures: dict[str, str], small_fragments: None, precision: Precision
) -> None:
    write_table(tmp_path / "features", pictures, ["mean"], precision=precision)
    opened = rows.open_rows(tmp_path / "features")
    assert opened is not None
    delete_rows(opened, sorted(pictures)[2:5])
    kept = sorted(pictures)[:2] + sorted(pictures)[5:]
    features = FeatureReader(tmp_path / "features", ["mean"], source=SOURCE).read(kept)["mean"]
    torch.testing.assert_close(features, expected("mean", pictures, kept), rtol=0.02, atol=0.2)


def test_a_table_holds_one_precision_of_an_encoder(table: Path, pictures: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="holds mean@1 as float16, not int8; choose another folder"):
        write_table(table, pictures, ["mean"], precision="int8")


def test_the_error_of_storing_is_in_the_files_of_the_column(table: Path, pictures: dict[str, str]) -> None:
    opened = rows.open_rows(table)
    given_all = expected("mean", pictures, list(pictures)).double()
    change = given_all.half().double() - given_all
    assert column_rounding(opened, "mean@1").relative_error == pytest.approx(float(change.norm() / given_all.norm()))


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_values_that_float16_cannot_hold_are_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="float16 cannot hold"):
        pack(torch.full((1, 1, 3), value), SOURCE.column("mean"))
