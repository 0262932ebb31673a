"""Fields -> topics -> pages -> records, against a real model server and a real wiki server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.pipeline import fetch_pages, generate_from_pages, generate_topics
from opabinia.data.instructions.topics import FIELDS, Subfield, read_fields
from opabinia.data.records import parse_record
from tests.data.instructions.endpoint import Reply, pairs, serving
from tests.data.instructions.specimens import read_records, read_rows, settings
from tests.data.instructions.test_wiki import config
from tests.data.instructions.wiki_server import LONG, serving_wiki


def section(words: int = 60, caption: str = "a cell", path: str = "a.png", **changes: Any) -> dict[str, Any]:
    text = " ".join(["word"] * words)
    return {
        "title": "Cell",
        "section": "Parts",
        "text": text,
        "images": [{"path": path, "caption": caption}],
        **changes,
    }


def write_sections(file: Path, *sections: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(each) + "\n" for each in sections))
    return file


def test_fields_are_lines_with_their_parts(tmp_path: Path) -> None:
    file = tmp_path / "fields.txt"
    file.write_text("# mine\nBiology: Cells, Genetics,\n\nPhysics: Optics # light\nBiology: Cells\n")
    assert read_fields(file) == [
        Subfield("Biology", "Cells"),
        Subfield("Biology", "Genetics"),
        Subfield("Physics", "Optics"),
    ]
    assert len({subfield.field for subfield in read_fields(FIELDS)}) == 30
    file.write_text("Biology\n")
    with pytest.raises(ValueError, match=r"fields\.txt:1: expected 'Field: subfield, subfield', got 'Biology'"):
        read_fields(file)
    file.write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no fields"):
        read_fields(file)


@pytest.mark.e2e
def test_from_fields_to_records(tmp_path: Path, local_ray: None) -> None:
    fields = tmp_path / "fields.txt"
    fields.write_text("Biology: Cells, Fungi, Magic\n")
    answers = tmp_path / "answers"

    def model(user: str, count: int) -> Reply:
        if "topics of Cells" in user:
            return Reply('```json\n["cells"]\n```')
        if "topics of Fungi" in user:
            return Reply("1. Yeasts\n2. cells\n3. more\n4. than asked for")
        if "topics of Magic" in user:
            return Reply("I'm sorry, I can't.")
        return Reply(pairs(1, user.splitlines()[0]))

    with serving(model) as server, serving_wiki() as wiki:
        given = settings(server.url, tmp_path, topics=2)
        topics = generate_topics(given, fields, tmp_path / "topics", answers=answers)
        assert [(row["topic"], row["subfield"]) for row in read_rows(topics)] == [
            ("cells", "Cells"),
            ("Yeasts", "Fungi"),
        ]
        assert read_rows(topics)[0]["provenance"]["source_id"] == "Biology/Cells"
        report = json.loads((topics.parent / "report.json").read_text())
        assert report["sources"]["Biology"]["rejected"] == {"the model refuses": 1}

        lower = tmp_path / "lower.jsonl"
        lower.write_text(topics.read_text().replace("Yeasts", "yeasts"))
        pages = fetch_pages(config(wiki), lower, tmp_path / "pages", cache=tmp_path / "cache")
        generate_from_pages(given, pages, tmp_path / "out", answers=answers)
    records = read_records(tmp_path / "out")
    assert [(record["provenance"]["page"], record["provenance"]["topic"]) for record in records] == [
        ("Cell", "cells"), ("Cell", "cells"), ("Yeast", "yeasts"),
    ]  # fmt: skip
    assert [record["licence"] for record in records] == [
        "text CC BY-SA 4.0, picture CC0", "text CC BY-SA 4.0, picture CC BY 3.0", "text CC BY-SA 4.0, picture CC0",
    ]  # fmt: skip
    assert all((tmp_path / "pages" / record["image"]).is_file() for record in records)
    assert records[0]["conversations"][0]["value"] == "<image>\nWhat is Cell/Introduction: A cell seen close, part 1?"
    assert len({record["id"] for record in records}) == 3
    assert all(parse_record(json.dumps(record), "f", 1).source == "data-engine" for record in records)
    assert any(body["messages"][-1]["content"].endswith(LONG) for body in server.bodies)
    assert [row["reason"] for row in read_rows(tmp_path / "out/rejected.jsonl")] == [
        "the section has fewer than 50 words"
    ]


@pytest.mark.e2e
def test_pages_of_a_folder_and_what_is_left_out(tmp_path: Path, local_ray: None) -> None:
    folder = tmp_path / "pages"
    write_sections(
        folder / "b.jsonl", section(49), section(50), section(caption=" "), section(images=[]), {"title": "x"}
    )
    (folder / "a.json").write_text(json.dumps([section(300, path="1.png"), section(path="2.png", licence="CC0")]))
    (folder / "c.json").write_text("{")
    with serving(lambda user, count: Reply(pairs(1))) as server:
        given = settings(server.url, tmp_path, licences={"data-engine": "mine"}, context_words=100)
        generate_from_pages(given, folder, tmp_path / "out", answers=tmp_path / "answers")
    assert [(record["image"], record["licence"]) for record in read_records(tmp_path / "out")] == [
        ("1.png", "mine"), ("2.png", "CC0"), ("a.png", "mine"),
    ]  # fmt: skip
    assert [(row["place"], row["reason"]) for row in read_rows(tmp_path / "out/rejected.jsonl")] == [
        ("b.jsonl:1", "the section has fewer than 50 words"),
        ("b.jsonl:3", "the picture has no caption"),
        ("b.jsonl:4", "the section has no picture"),
        ("b.jsonl:5", "text: Field required"),
        ("c.json", "not valid JSON in UTF-8"),
    ]
    assert max(user.split().count("word") for user in server.requested) == 100
