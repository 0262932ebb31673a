"""The audit counts benchmark pictures that are among those trained on, for each benchmark and in all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opabinia.data.deduplication.leakage import Leakage, Match, audit_leakage, find_leakage
from opabinia.data.deduplication.pictures import PictureHash, hash_pictures
from opabinia.data.deduplication.settings import LeakageConfig
from tests.data.deduplication.photographs import flipped, hashed, photographs, save

TRAINED = [hashed(image, f"train/{place}.png") for place, image in enumerate(photographs()[:10])]


def leakage(distance: int = 0, **benchmarks: list[PictureHash]) -> Leakage:
    return find_leakage(LeakageConfig(distance=distance), TRAINED, benchmarks)


def table(found: Leakage) -> dict[str, tuple[int, int, float]]:
    return {row.benchmark: (row.pictures, row.matched, row.percent) for row in (*found.benchmarks, found.total)}


def test_counts_and_percentages_are_of_the_benchmark_s_pictures() -> None:
    photos = [hashed(image, str(place)) for place, image in enumerate(photographs())]
    found = leakage(half=photos[6:14], none=photos[14:], all_twice=photos[:2] * 2)
    assert table(found) == {
        "half": (8, 4, 50.0),
        "none": (10, 0, 0.0),
        "all_twice": (4, 4, 100.0),
        "all": (22, 8, 36.36),
    }
    assert (found.trained, len(found.leaked)) == (10, 6)


def test_each_match_names_both_pictures() -> None:
    found = leakage(b=[hashed(photographs()[3], "test/x.png")])
    assert found.matches == (Match("b", "test/x.png", "train/3.png", bits=0, copies=1),)


def test_the_nearest_is_named_and_all_within_reach_are_counted() -> None:
    trained = [flipped(0, 1, 2), flipped(0, 7), flipped(0, 8), flipped(0, 8), flipped(0, 1, 2, 3, 4)]
    found = find_leakage(LeakageConfig(distance=2), trained, {"b": [flipped(0)]})
    (match,) = found.matches
    assert (match.trained, match.bits, match.copies) == ("(7,)", 1, 4)
    assert found.leaked == ("(1, 2)", "(7,)", "(8,)", "(8,)")


def test_a_recompressed_picture_is_found_at_a_distance_only() -> None:
    near = flipped(TRAINED[0].difference, 9, 33)
    assert table(leakage(distance=0, b=[near]))["b"] == (1, 0, 0.0)
    assert table(leakage(distance=2, b=[near]))["b"] == (1, 1, 100.0)


def test_without_training_pictures_or_benchmarks_nothing_is_leaked() -> None:
    assert table(find_leakage(LeakageConfig(), [], {"b": [flipped(0)]})) == {"b": (1, 0, 0.0), "all": (1, 0, 0.0)}
    assert table(find_leakage(LeakageConfig(), TRAINED, {})) == {"all": (0, 0, 0.0)}


@pytest.mark.parametrize(("matched", "pictures", "percent"), [(1263, 2017, 62.62), (1458, 3088, 47.22), (3, 900, 0.33)])
def test_percentages_are_rounded_as_in_the_published_audit(matched: int, pictures: int, percent: float) -> None:
    seen, unseen = flipped(TRAINED[0].difference), flipped(~TRAINED[0].difference & (2**64 - 1))
    found = leakage(b=[seen] * matched + [unseen] * (pictures - matched))
    assert table(found)["b"] == (pictures, matched, percent)


def test_the_step_hashes_files_and_writes_the_report_and_the_matches(tmp_path: Path) -> None:
    training, benchmark, out = tmp_path / "training", tmp_path / "benchmark", tmp_path / "out"
    names = [save(image, training / f"{place}.png") for place, image in enumerate(photographs()[:5])]
    asked = [
        save(photographs()[2], benchmark / "q.jpg", quality=85),
        save(photographs()[9], benchmark / "r.png"),
        "gone",
    ]
    out.mkdir()
    trained, pictures = hash_pictures(names, training, 2), hash_pictures(asked, benchmark, 2)
    found = audit_leakage(LeakageConfig(distance=2), trained, {"bench": pictures}, out)
    assert table(found)["bench"] == (2, 1, 50.0)
    report = json.loads((out / "leakage.json").read_text())
    assert report["benchmarks"] == [{"benchmark": "bench", "pictures": 2, "matched": 1, "percent": 50.0}]
    assert report["unreadable"] == {"bench: gone": "is missing"}
    (match,) = [json.loads(line) for line in (out / "matches.jsonl").read_text().splitlines()]
    assert (match["picture"], match["trained"]) == ("q.jpg", "2.png")
