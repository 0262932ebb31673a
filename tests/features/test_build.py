from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
import torch
from PIL import Image

from opabinia.features import rows
from opabinia.features.build import build_features
from opabinia.features.plan import plan_features
from opabinia.features.table import FeatureReader
from tests.features.conftest import save_pictures
from tests.features.encoders import ENCODERS, SmallEncoders

# Every build starts actors in a Ray of its own.
pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def small_fragments(monkeypatch: pytest.MonkeyPatch, local_ray: None) -> None:
    monkeypatch.setattr(rows, "FRAGMENT_ROWS", 8)


@pytest.fixture
def source(tmp_path: Path) -> SmallEncoders:
    return SmallEncoders(log=str(tmp_path / "log"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "features"


def data_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every data file."""
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder / "data").iterdir()}


def check_features(folder: Path, pictures: dict[str, str], encoder: str, source: SmallEncoders) -> None:
    keys = list(pictures)
    read = FeatureReader(folder, [encoder], source=source).read(keys)[encoder]
    fresh = ENCODERS[encoder]([Image.open(pictures[key]).convert("RGB") for key in keys])
    torch.testing.assert_close(read, fresh, rtol=2**-11, atol=1e-6)


def test_a_build_encodes_each_picture_once_and_reading_gives_the_same_numbers(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    report = build_features(folder, pictures, ["mean", "patches"], batch=5, source=source)
    assert (report.rows, report.skipped, set(report.seconds)) == (30, (), {"mean", "patches"})
    assert report.bytes > 30 * (3 + 12) * 2
    for encoder in ("mean", "patches"):
        assert source.encoded(encoder) == 30
        check_features(folder, pictures, encoder, source)


def test_building_again_computes_and_writes_nothing(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    build_features(folder, pictures, ["mean", "patches"], source=source)
    before = data_files(folder)
    report = build_features(folder, pictures, ["patches", "mean"], source=source)
    assert (report.bytes, report.seconds, report.skipped) == (0, {}, ("patches", "mean"))
    assert data_files(folder) == before


def test_adding_an_encoder_leaves_the_other_columns_files_alone(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    build_features(folder, pictures, ["mean"], source=source)
    before = data_files(folder)
    report = build_features(folder, pictures, ["mean", "wide"], source=source)
    after = data_files(folder)
    assert report.skipped == ("mean",)
    assert source.encoded("mean") == 30
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * 4 + 4
    check_features(folder, pictures, "mean", source)
    check_features(folder, pictures, "wide", source)


def test_new_pictures_are_appended_and_only_they_are_encoded(
    folder: Path, pictures: dict[str, str], source: SmallEncoders, tmp_path: Path
) -> None:
    build_features(folder, pictures, ["mean", "patches"], source=source)
    grown = pictures | save_pictures(tmp_path / "pictures", 9, first=100)
    assert build_features(folder, grown, ["mean"], source=source).rows == 39
    assert source.encoded("mean") == 39
    check_features(folder, grown, "mean", source)
    check_features(folder, pictures, "patches", source)
    build_features(folder, grown, ["patches"], source=source)
    assert source.encoded("patches") == 39
    check_features(folder, grown, "patches", source)


def test_pictures_that_are_gone_do_not_stop_a_new_encoder(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    build_features(folder, pictures, ["mean"], source=source)
    fewer = dict(list(pictures.items())[4:])
    assert build_features(folder, fewer, ["mean"], source=source).rows == 30
    assert build_features(folder, fewer, ["mean", "wide"], source=source).rows == 26
    check_features(folder, fewer, "mean", source)
    check_features(folder, fewer, "wide", source)
    build_features(folder, pictures, ["mean", "wide"], source=source)
    check_features(folder, pictures, "wide", source)


def test_other_weights_are_encoded_anew(folder: Path, pictures: dict[str, str], source: SmallEncoders) -> None:
    build_features(folder, pictures, ["mean"], source=source)
    retrained = SmallEncoders(weights="2", log=source.log)
    assert build_features(folder, pictures, ["mean"], source=retrained).skipped == ()
    assert source.encoded("mean") == 60
    check_features(folder, pictures, "mean", source)


def test_encoders_that_fail_say_why_and_do_not_lose_the_others(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    with pytest.raises(ValueError, match=r"^features: ") as caught:
        build_features(folder, pictures, ["broken", "mean", "unloadable", "huge", "wrong"], source=source)
    for reason in (
        "broken: the encoder fell over in two lines",
        "unloadable: no weights",
        "huge: gives values that float16 cannot hold",
        "wrong: gives features of shape [3, 2] where [2, 2] was declared",
    ):
        assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(data_files(folder)) == 2 * 4
    check_features(folder, pictures, "mean", source)
    assert build_features(folder, pictures, ["mean"], source=source).skipped == ("mean",)


def test_a_picture_that_vanished_since_the_audit_is_named(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    lost = Path(list(pictures.values())[7])
    lost.unlink()
    with pytest.raises(ValueError, match=f"^features: mean: picture {lost} cannot be read"):
        build_features(folder, pictures, ["mean"], source=source)


def test_no_pictures_are_refused(folder: Path, source: SmallEncoders) -> None:
    with pytest.raises(ValueError, match="no pictures to encode"):
        build_features(folder, {}, ["mean"], source=source)
    assert not folder.exists()


def test_a_build_survives_the_death_of_the_process_that_encodes(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    build_features(folder, pictures, ["mortal"], batch=4, source=source)
    assert source.encoded("mortal") > 30
    check_features(folder, pictures, "mortal", source)


def test_what_int8_costs_is_stated_in_the_table_which_ray_data_reads(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    report = build_features(folder, pictures, ["mean", "wide"], precision="int8", source=source)
    assert 0 < report.errors["mean"] < 0.01
    table = rows.open_rows(folder)
    for encoder, error in report.errors.items():
        assert rows.stated_of(table, f"{encoder}@1")["relative_error"] == repr(error)
    assert build_features(folder, pictures, ["mean", "wide"], precision="int8", source=source).errors == report.errors
    dataset = ray.data.read_lance(str(folder), columns=["image_key", "wide@1", "wide@1:scales"])
    read = FeatureReader(folder, ["wide"], source=source)
    for row in dataset.take_all():
        values = torch.tensor(row["wide@1"]).reshape(2, 8) * torch.tensor(row["wide@1:scales"])[:, None]
        assert torch.equal(values.float(), read.read([row["image_key"]])["wide"][0])


def test_a_budget_that_is_too_small_stops_the_build_before_anything_is_written(
    folder: Path, pictures: dict[str, str], source: SmallEncoders
) -> None:
    with pytest.raises(ValueError, match=r"^cache\.budget_gb: the features take 1\.0 kB"):
        build_features(folder, pictures, ["wide"], budget_gb=5e-7, source=source)
    assert not folder.exists()
    assert source.encoded("wide") == 0


def test_the_plan_counts_what_is_missing_and_measures_in_the_process_that_will_encode(
    folder: Path, pictures: dict[str, str], source: SmallEncoders, tmp_path: Path
) -> None:
    build_features(folder, pictures, ["mean"], source=source)
    grown = pictures | save_pictures(tmp_path / "pictures", 9, first=100)
    plan = plan_features(folder, grown, ["mean", "slow"], batch=10, source=source)
    mean, slow = plan.columns
    assert (plan.pictures, plan.probed, mean.missing, slow.missing) == (39, 10, 9, 39)
    assert plan.bytes == (9 + 39) * 3 * 2
    assert slow.encode_s > 0.025
    assert slow.reading_is_cheaper


BUILD = """
import sys, ray
address, folder, pictures, log = sys.argv[1:]
ray.init(address=address, logging_level="ERROR", log_to_driver=False)
from opabinia.features import rows
rows.FRAGMENT_ROWS = 8
from opabinia.features.build import build_features
from tests.features.conftest import save_pictures
from tests.features.encoders import SmallEncoders
from pathlib import Path
build_features(folder, save_pictures(Path(pictures), 30), ["mean", "slow"], batch=2, source=SmallEncoders(log=log))
"""


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the build ended before it could be killed"
        assert time.monotonic() < deadline, "the build did not get far enough to be killed"
        time.sleep(0.05)


def test_a_killed_build_leaves_a_readable_table_and_the_next_one_continues(
    folder: Path, pictures: dict[str, str], source: SmallEncoders, tmp_path: Path
) -> None:
    build_features(folder, pictures, ["mean"], source=source)

    def filled() -> int:
        table = rows.open_rows(folder)
        assert table is not None
        return "slow@1" in table.schema.names and sum(rows.is_filled(table, f, "slow@1") for f in table.get_fragments())

    address = ray.get_runtime_context().gcs_address
    arguments = [address, str(folder), str(tmp_path / "pictures"), source.log]
    process = subprocess.Popen([sys.executable, "-c", BUILD, *arguments])
    wait_until(lambda: 0 < filled() < 4, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < filled() < 4
    (folder / "data" / "left.lance.unfinished").touch()
    check_features(folder, pictures, "mean", source)
    with pytest.raises(ValueError, match="lacks"):
        FeatureReader(folder, ["slow"], source=source).read(list(pictures))
    before = source.encoded("slow")
    kept = 8 * filled()
    build_features(folder, pictures, ["mean", "slow"], batch=30, source=source)
    assert source.encoded("slow") - before <= 30 - kept + 2
    check_features(folder, pictures, "slow", source)
    assert not list((folder / "data").glob("*.unfinished"))
