"""Files of rows, and the pictures in them."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from opabinia.evaluation.benchmarks.formats.pictures import PublishedPictures
from opabinia.evaluation.benchmarks.formats.registry import published_questions
from opabinia.evaluation.benchmarks.formats.rows import read_rows
from tests.evaluation.benchmarks.published import (
    PICTURE,
    base64_picture,
    picture,
    png,
    shade_of,
    write_jsonl,
    write_parquet,
)


def chart(number: int, image: object) -> dict[str, object]:
    return {"question": f"question {number}", "answer": str(number), "image": image}


def test_bytes_of_pictures_are_not_read_with_the_rows(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", [chart(0, picture(1)), chart(1, None)])
    first, second = read_rows(file, ["image"])
    assert first.cells["image"] == {"path": None}
    assert first.picture("image") == f"{file}#0.image"
    assert second.picture("image") is None


@pytest.mark.parametrize("group", [1, 3, 100])
def test_pictures_are_found_in_whatever_row_group_and_order(tmp_path: Path, group: int) -> None:
    file = write_parquet(tmp_path / "a.parquet", [chart(n, picture(n)) for n in range(7)], group=group)
    names = [row.needed_picture("image") for row in read_rows(file, ["image"])]
    opened = PublishedPictures()
    assert [shade_of(opened(name)) for name in names] == [*range(7)]
    assert [shade_of(opened(names[n])) for n in (6, 0, 3, 3, 1)] == [6, 0, 3, 3, 1]


def test_each_row_group_is_read_once_when_questions_go_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opabinia.evaluation.benchmarks.formats import pictures

    file = write_parquet(tmp_path / "a.parquet", [chart(n, picture(n)) for n in range(6)], group=3)
    read, row_group = list[int](), pictures._row_group
    monkeypatch.setattr(pictures, "_row_group", lambda *place: read.append(place[1]) or row_group(*place))
    opened = PublishedPictures()
    for row in read_rows(file, ["image"]):
        opened(row.needed_picture("image"))
    assert read == [0, 3]


@pytest.mark.parametrize(("kind", "cell"), [(pa.binary(), png(8)), (pa.string(), base64_picture(8))])
def test_bare_bytes_and_base64_text_are_pictures_too(tmp_path: Path, kind: pa.DataType, cell: object) -> None:
    file = write_parquet(tmp_path / "a.parquet", [chart(0, cell)], {"image": kind})
    (asked,) = published_questions({"chart_qa": str(file)})
    assert shade_of(PublishedPictures()(str(asked.image))) == 8


def test_jsonl_holds_base64_or_paths_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "3.png").write_bytes(png(3))
    rows = [
        chart(0, base64_picture(2)),
        chart(1, "pictures/3.png"),
        chart(2, f"data:image/png;base64,{base64_picture(4)}"),
    ]
    questions = published_questions({"chart_qa": str(write_jsonl(tmp_path / "a.jsonl", rows))})
    opened = PublishedPictures()
    assert [shade_of(opened(str(asked.image))) for asked in questions] == [2, 3, 4]


def test_mmbench_as_its_authors_publish_it_is_a_table_with_base64(tmp_path: Path) -> None:
    cells = {
        "index": 0,
        "question": "Line one\nline two",
        "hint": "",
        "A": "x",
        "B": "y",
        "answer": "B",
        "category": "c",
    }
    with (tmp_path / "mmbench.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*cells, "image"], delimiter="\t")
        writer.writeheader()
        writer.writerow(cells | {"image": base64_picture(5)})
    (asked,) = published_questions({"mmbench": str(tmp_path / "mmbench.tsv")})
    assert (asked.question, asked.choices, asked.right_text) == ("Line one\nline two", ("x", "y"), "y")
    assert shade_of(PublishedPictures()(str(asked.image))) == 5


def test_mmvp_as_its_authors_publish_it_is_a_table_beside_a_folder(tmp_path: Path) -> None:
    lines = [
        "Index,Question,Options,Correct Answer",
        '1,Open?,"(a) Open (b) Closed",(a)',
        '2,Open?,"(a) Open (b) Closed",(b)',
    ]
    (tmp_path / "Questions.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"Questions\.csv row 1: .*1\.jpg does not exist; put the folder"):
        published_questions({"mmvp": str(tmp_path / "Questions.csv")})
    (tmp_path / "MMVP Images").mkdir()
    for n in (1, 2):
        (tmp_path / "MMVP Images" / f"{n}.jpg").write_bytes(png(n))
    questions = published_questions({"mmvp": str(tmp_path / "Questions.csv")})
    opened = PublishedPictures()
    assert [shade_of(opened(str(asked.image))) for asked in questions] == [1, 2]


def test_folders_and_patterns_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    for part in (1, 0):
        write_parquet(tmp_path / f"test-0000{part}-of-00002.parquet", [chart(part, picture(part))])
    (tmp_path / "README.md").write_text("no data")
    for place in (tmp_path, tmp_path / "test-*.parquet"):
        questions = published_questions({"chart_qa": str(place)})
        assert [asked.question for asked in questions] == ["question 0", "question 1"]


@pytest.mark.parametrize("value", ["../secret.png", "/etc/secret.png"])
def test_pictures_outside_the_files_folder_are_refused(tmp_path: Path, value: str) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [chart(0, value)])
    with pytest.raises(ValueError, match=r"a\.jsonl row 1: image .* leaves the file's folder"):
        published_questions({"chart_qa": str(file)})


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    def refused(name: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason) as refusal:
            published_questions({"chart_qa": str(tmp_path / name)})
        assert "\n" not in str(refusal.value)

    refused("none.parquet", r"benchmark\.files\.chart_qa: .*none\.parquet does not exist or is empty")
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    refused("bad.parquet", r"bad\.parquet cannot be read as parquet")
    (tmp_path / "bad.jsonl").write_text('{"question": "?"\n')
    refused("bad.jsonl", r"bad\.jsonl row 1: not valid JSON")
    (tmp_path / "list.jsonl").write_text("[]\n")
    refused("list.jsonl", r"list\.jsonl row 1: not a JSON object")
    (tmp_path / "empty.jsonl").write_text("")
    refused("empty.jsonl", "holds no questions")
    (tmp_path / "a.xlsx").write_text("x")
    refused("a.xlsx", r"a\.xlsx is of no known kind; give \.parquet")


@pytest.mark.parametrize("cell", [{"bytes": b"no picture", "path": None}, {"bytes": None, "path": "a.png"}])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path: Path, cell: object) -> None:
    file = write_parquet(tmp_path / "a.parquet", [chart(0, cell)], {"image": PICTURE})
    with pytest.raises(ValueError, match=r"a\.parquet#0\.image (cannot be read|holds no picture)"):
        PublishedPictures()(f"{file}#0.image")
