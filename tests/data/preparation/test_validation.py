from __future__ import annotations

import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from opabinia.data.preparation.index import read_rows
from opabinia.data.preparation.reading import read_records
from opabinia.data.preparation.report import Report
from opabinia.data.preparation.settings import LimitsConfig, ShardingConfig
from opabinia.data.preparation.sharding import write_prepared
from opabinia.data.preparation.validation import check_shard, sound_rows, validate
from tests.data.preparation.published import as_jsonl, turns, write
from tests.storage.limits import as_nobody

LIMITS = LimitsConfig(max_words=50, min_side=8, max_side=500, max_aspect=10)
SHOWN = turns("<image>\nWhat?", "A <b>red</b> one")


def save(folder: Path, name: str, width: int, height: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (200, 30, 90)).save(folder / name)


def record(source: str, image: object = None, conversations: object = SHOWN, **more: object) -> dict[str, Any]:
    return {"id": f"{source}<1>", "source": source, "image": image, "conversations": conversations, **more}


RECORDS = [
    record("vqa", "wide.png"),
    record("vqa", "absent.jpg"),
    record("vqa", ["wide.png", "tall.jpg"], turns("<image> and <image>?")),
    record("vqa", "cut.jpg"),
    record("<text>", None, turns("Why?")),
    record("<text>", "None", turns("Why?", "so " * 60)),
    record("vqa", "page.jpg"),
    record("vqa", "tiny.png"),
    record("vqa", "strip.png"),
    record("vqa", "wide.png", SHOWN[::-1]),
    record("vqa", ["wide.png", "absent.jpg"], turns("<image> and <image>?")),
]
REJECTED = {
    2: ("image missing", "image 'absent.jpg' is missing"),
    4: ("image broken", "image 'cut.jpg' cannot be decoded: "),
    6: ("length", "61 words, limit max_words = 50"),
    7: ("image broken", "image 'page.jpg' is not an image"),
    8: ("image size", "image 'tiny.png' is 7×9 pixels, limit min_side = 8"),
    9: ("image size", "image 'strip.png' is 300×20 pixels, limit max_aspect = 10"),
    10: ("roles", "turn 1 must be from the user, got assistant: roles alternate, user first"),
    11: ("image missing", "image 'absent.jpg' is missing"),
    12: ("unreadable", "not valid JSON: "),
}
"""Line of the published file -> check and beginning of the reason."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    images = folder / "images"
    for name, *size in (("wide.png", 64, 32), ("tall.jpg", 40, 90), ("tiny.png", 7, 9), ("strip.png", 300, 20)):
        save(images, str(name), *map(int, size))
    (images / "cut.jpg").write_bytes((images / "tall.jpg").read_bytes()[:-300])
    (images / "page.jpg").write_text("<html>404</html>")
    file = write(folder / "published.jsonl", as_jsonl(RECORDS) + b'{"id": <script>alert(1)</script>\n')
    write_prepared(read_records([file]), folder / "data", ShardingConfig(shard_size=4))
    return folder


@pytest.fixture(scope="module")
def report(world: Path, local_ray: None) -> Report:
    return validate(world / "data", world / "images", LIMITS, world / "report")


def rejected_lines(world: Path) -> list[dict[str, Any]]:
    lines = (world / "report" / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_bad_line_stands_in_the_quarantine_with_its_first_file_line_and_reason(
    world: Path, report: Report
) -> None:
    found = {line["line"]: line for line in rejected_lines(world)}
    assert sorted(found) == sorted(REJECTED)
    for number, (kind, reason) in REJECTED.items():
        assert found[number]["file"] == str(world / "published.jsonl")
        assert found[number]["kind"] == kind
        assert found[number]["reason"].startswith(reason)


def test_the_rows_that_are_left_are_the_sound_records(world: Path, report: Report) -> None:
    rows = sound_rows(world / "report")
    sound = [line for line in range(1, len(RECORDS) + 1) if line not in REJECTED]
    assert rows.tolist() == [line - 1 for line in sound]
    assert list(read_rows(world / "data", rows)) == [RECORDS[line - 1] for line in sound]
    rejected = [line["row"] for line in rejected_lines(world) if line["row"] is not None]
    assert sorted([*rows, *rejected]) == list(range(len(RECORDS)))


def test_the_report_counts_what_there_is(report: Report) -> None:
    assert (report.records, report.accepted, report.rejected) == (12, 3, 9)
    assert report.tally.kinds == {
        "image missing": 2, "image broken": 2, "image size": 2, "length": 1, "roles": 1, "unreadable": 1,
    }  # fmt: skip
    assert report.tally.records == {"vqa": 9, "<text>": 2, "(no record)": 1}
    assert report.tally.rejected == {"vqa": 7, "<text>": 1, "(no record)": 1}
    assert report.tally.images == {"vqa": 3, "<text>": 0}
    assert report.tally.formats == {"PNG": 2, "JPEG": 1}
    # Half octaves: 64 is the 12th, 32 the 10th; 40 lies in the 10th, 90 just below 2^6.5, in the 12th.
    assert report.tally.shape_bins() == [((10, 12), 1), ((12, 10), 2)]


def test_the_report_as_json_holds_the_counts_and_every_rejected_line(world: Path, report: Report) -> None:
    found = json.loads((world / "report" / "report.json").read_bytes())
    assert (found["records"], found["accepted"], found["rejected"]) == (12, 3, 9)
    assert found["rejected_lines"] == rejected_lines(world)
    # Of vqa, two records are left: one of 5 words, one of 6.
    assert found["sources"]["vqa"] == {"records": 9, "rejected": 7, "pictures": 3, "turns": 4, "words": 11}
    assert sum(bin["records"] for bin in found["histograms"]["words_per_record"]) == 3
    assert found["limits"] == LIMITS.model_dump()


class Tables(HTMLParser):
    """The texts of a page's table cells, and the addresses that it would load something from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells, self.inside, self.loaded, self.tags = list[str](), False, list[str](), set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "td":
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "td"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


def test_the_page_shows_every_rejected_line_and_source_as_text_and_loads_nothing(world: Path, report: Report) -> None:
    page = Tables((world / "report" / "report.html").read_text(encoding="utf-8"))
    for line in rejected_lines(world):
        assert {str(line["line"]), line["kind"], line["reason"]} <= set(page.cells)
    assert {"vqa", "<text>", "(no record)", "PNG", "JPEG"} <= set(page.cells)
    assert page.loaded == []
    assert {"svg", "rect"} <= page.tags
    assert not {"script", "b", "text>"} & page.tags


def test_shards_checked_one_by_one_find_the_same(world: Path, report: Report) -> None:
    found = [check_shard(str(world / "data"), str(world / "images"), LIMITS, shard) for shard in range(3)]
    assert [finding.records for finding in found] == [4, 4, 3]
    assert [line["reason"] for finding in found for line in finding.rejected] == [
        line["reason"] for line in rejected_lines(world) if line["row"] is not None
    ]


def test_without_a_folder_of_pictures_the_texts_are_checked_alone(world: Path, local_ray: None, tmp_path: Path) -> None:
    report = validate(world / "data", None, LIMITS, tmp_path / "report")
    assert report.tally.kinds == {"length": 1, "roles": 1, "unreadable": 1}
    assert "Width and height" not in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_a_shard_that_lost_lines_is_an_error_and_not_a_smaller_data_set(world: Path, tmp_path: Path) -> None:
    write_prepared(RECORDS, tmp_path / "data", ShardingConfig(shard_size=20))
    shard = tmp_path / "data" / "part-00000.jsonl"
    whole = shard.read_bytes()
    for damaged in (whole[: whole.index(b"\n") + 1], whole + b"{}\n"):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match="does not hold the 11 records of the index"):
            check_shard(str(tmp_path / "data"), None, LIMITS, 0)


def test_damage_that_a_worker_finds_is_one_line_and_leaves_no_report(local_ray: None, tmp_path: Path) -> None:
    write_prepared(RECORDS, tmp_path / "data", ShardingConfig(shard_size=4))
    (tmp_path / "data" / "part-00001.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"part-00001\.jsonl: does not hold the 4 records of the index") as caught:
        validate(tmp_path / "data", None, LIMITS, tmp_path / "report")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_picture_that_may_not_be_read_is_an_error_and_no_reason_to_reject_a_record() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        save(folder / "images", "wide.png", 64, 32)
        write_prepared([record("vqa", "wide.png")], folder / "data", ShardingConfig())
        assert check_shard(str(folder / "data"), str(folder / "images"), LIMITS, 0).rejected == []
        (folder / "images" / "wide.png").chmod(0o000)
        with as_nobody(), pytest.raises(ValueError, match=r"wide\.png: cannot be read \(Permission denied\)"):
            check_shard(str(folder / "data"), str(folder / "images"), LIMITS, 0)


def test_names_that_no_file_can_have_are_missing_pictures(tmp_path: Path) -> None:
    save(tmp_path / "images", "wide.png", 64, 32)
    names = ["wide.png/deeper.png", "a" * 300 + ".png", ".", "wide.png"]
    write_prepared([record("vqa", name) for name in names], tmp_path / "data", ShardingConfig())
    found = check_shard(str(tmp_path / "data"), str(tmp_path / "images"), LIMITS, 0)
    assert [(line["row"], line["kind"]) for line in found.rejected] == [
        (0, "image missing"), (1, "image broken"), (2, "image broken"),
    ]  # fmt: skip


def test_a_folder_of_pictures_that_is_not_there_is_an_error_and_rejects_nothing(world: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^images: '.*absent' is not a folder"):
        validate(world / "data", world / "absent", LIMITS, tmp_path / "report")
    assert list(tmp_path.iterdir()) == []
