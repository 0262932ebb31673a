"""Caption -> records, with real Ray tasks and a real server that behaves badly in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opabinia.data.instructions.pipeline import generate_from_captions
from opabinia.data.instructions.requests import content_hash
from opabinia.data.records import parse_record
from tests.data.instructions.endpoint import USAGE, Endpoint, Reply, pairs, serving
from tests.data.instructions.specimens import (
    LICENCE,
    TEMPLATES,
    caption_file,
    read_records,
    read_rows,
    settings,
    write_json,
)

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("local_ray")]

# What the server does about "bird N" when it is asked the first, second, … time; after that it answers well.
BAD = {
    1: [Reply("on fire", status=500), Reply("on fire", status=503)],
    2: [Reply("busy", status=429, headers={"Retry-After": "1"})],
    3: [Reply("")],
    5: [Reply(pairs(2), ending="length")],
    6: [Reply('[{"question": "Whi')] * 9,
    7: [Reply("Q1: Which?\nA1: A bird.\nQ2: Where?")] * 9,
    8: [Reply("too long", status=400)] * 9,
    9: [Reply("I'm sorry, but I can't help with that.")],
    10: [Reply(pairs(2), cut=True), Reply(body="<html>")],
}


def writer(user: str, count: int) -> Reply:
    """Answers about a bird; a complaint makes another request, so bad answers are counted over both."""
    number = int(user.split()[2].rstrip("."))
    bad = BAD.get(number, [])
    place = count + ("An earlier answer" in user)
    return bad[place - 1] if place <= len(bad) else Reply(pairs(2, f"bird {number}"), stall_s=0.03 * (number % 4))


def run(server: Endpoint, tmp_path: Path, name: str, captions: Path, log: str = "answers", **changes: Any) -> Path:
    given = settings(server.url, tmp_path, **changes)
    generate_from_captions(given, [captions], tmp_path / name, answers=tmp_path / log)
    return tmp_path / name


def test_what_can_be_had_is_written_and_the_rest_is_accounted_for(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 12)
    with serving(writer) as server:
        folder = run(server, tmp_path, "out", captions)
    records, rejected = read_records(folder), read_rows(folder / "rejected.jsonl")
    assert [record["id"] for record in records] == ["b0", "b1", "b2", "b3", "b4", "b5", "b10", "b11"]
    assert [(row["place"], row["reason"]) for row in rejected] == [
        ("b6", "it is malformed JSON"),
        ("b7", "question 2 has no answer"),
        ("b8", "the endpoint refuses the request: HTTP 400: too long"),
        ("b9", "the model refuses"),
    ]
    assert server.most_at_once <= 4
    report = json.loads((folder / "report.json").read_text())
    # 12 first attempts but the one that was refused, and second ones about 3, 5, 6 and 7.
    asked = 15
    assert report["models"] == {
        "writer-2026": {
            "requests": asked,
            "prompt_tokens": asked * USAGE["prompt_tokens"],
            "completion_tokens": asked * USAGE["completion_tokens"],
            "uncounted": 0,
            "usd": round(asked * (100 * 2.0 + 10 * 10.0) / 1e6, 6),
        }
    }
    assert report["sources"]["Birds"]["records"] == 8
    assert sum(report["sources"]["Birds"]["rejected"].values()) == 4


def test_a_record_is_llava_s_with_licence_and_provenance(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 1)
    with serving(writer) as server:
        folder = run(server, tmp_path, "out", captions)
    (record,) = read_records(folder)
    assert record["conversations"] == [
        {"from": "human", "value": "<image>\nWhat is bird 0, part 1?"},
        {"from": "gpt", "value": "Part 1 is bird 0."},
        {"from": "human", "value": "What is bird 0, part 2?"},
        {"from": "gpt", "value": "Part 2 is bird 0."},
    ]
    assert (record["image"], record["source"], record["licence"]) == ("0.jpg", "Birds", LICENCE)
    request = record["provenance"].pop("request")
    assert content_hash({"body": server.bodies[0], "attempt": 1}).startswith(request) and len(request) == 16
    digest = record["provenance"].pop("template_hash")
    assert len(digest) == 16
    assert record["provenance"] == {
        "model": "writer-2026",
        "endpoint": server.url.split("/")[2],
        "template": "plain",
        "source_id": "b0",
        "date": "2026-11-21",
    }
    parsed = parse_record(json.dumps(record), "f", 1)
    assert (parsed.images, len(parsed.turns)) == (("0.jpg",), 4)


def test_a_second_run_asks_nothing_and_writes_the_same(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 12)
    with serving(writer) as server:
        first = run(server, tmp_path, "first", captions)
        before = server.requested.total()
        # What the endpoint refused is no answer, and costs nothing to ask again.
        second = run(server, tmp_path, "second", captions, asking={"at_once": 1})
    assert server.requested.total() == before + 1
    for file in ("records/part-00000.jsonl", "rejected.jsonl", "report.json"):
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_timing_tasks_and_processes_do_not_change_what_is_written(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 12)
    with serving(writer) as server:
        one = run(server, tmp_path, "one", captions, log="log1", asking={"at_once": 1})
        server.requested.clear()
        many = run(
            server,
            tmp_path,
            "many",
            captions,
            log="log2",
            asking={"at_once": 6, "processes": 2, "requests_per_task": 2},
        )
    assert (one / "records/part-00000.jsonl").read_bytes() == (many / "records/part-00000.jsonl").read_bytes()
    assert (one / "report.json").read_bytes() == (many / "report.json").read_bytes()
    assert 1 < server.most_at_once <= 6


def test_new_captions_are_asked_about_and_old_ones_are_not(tmp_path: Path) -> None:
    with serving(lambda user, count: Reply(pairs(1))) as server:
        run(server, tmp_path, "first", caption_file(tmp_path / "a.jsonl", 3))
        server.requested.clear()
        run(server, tmp_path, "second", caption_file(tmp_path / "b.jsonl", 5))
    assert server.requested == {"About: bird 3": 1, "About: bird 4": 1}


def test_equal_captions_are_asked_about_once_over_all_tasks(tmp_path: Path) -> None:
    rows = [{"id": n, "image": f"{n}.jpg", "caption": "the same", "source": "Birds"} for n in range(6)]
    captions = tmp_path / "same.jsonl"
    captions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving(lambda user, count: Reply(pairs(1))) as server:
        folder = run(server, tmp_path, "out", captions, asking={"requests_per_task": 1, "processes": 2})
    assert server.requested == {"About: the same": 1}
    assert [record["image"] for record in read_records(folder)] == [f"{n}.jpg" for n in range(6)]
    assert json.loads((folder / "report.json").read_text())["models"]["writer-2026"]["requests"] == 1


def test_each_source_has_its_template_and_a_description_comes_first(tmp_path: Path) -> None:
    scan = {
        "id": 1,
        "image": "s.png",
        "caption": "dark spot",
        "context": "spots are cysts",
        "source": "scans",
        "licence": "CC0",
    }
    llava = {
        "id": 2, "image": "l.png", "source": "Birds",
        "conversations": [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "a wren"}],
    }  # fmt: skip
    captions = tmp_path / "mixed.jsonl"
    captions.write_text(json.dumps(scan) + "\n" + json.dumps(llava) + "\n")
    described = f"Findings: A dark spot.\n{pairs(1)}"
    with serving(lambda user, count: Reply(described if "Scan" in user else pairs(1))) as server:
        folder = run(server, tmp_path, "out", captions)
    assert set(server.requested) == {"Scan: dark spot\n\nKnown: spots are cysts", "About: a wren"}
    first, second = read_records(folder)
    assert first["conversations"][0]["value"] == "<image>\nWhat is to be seen?"
    assert first["conversations"][1]["value"] == "A dark spot."
    assert (first["licence"], second["licence"]) == ("CC0", LICENCE)
    assert (first["provenance"]["template"], second["provenance"]["template"]) == ("scan", "plain")


def test_lines_that_are_no_captions_are_listed_by_file_and_line(tmp_path: Path) -> None:
    captions = tmp_path / "c.jsonl"
    lines = [b"{", b"[]", b'{"caption": "a", "source": "Birds"}', b'{"image": "a.jpg", "source": "Birds"}', b'{"id": "\xff"}',
             b'{"image": ["b.jpg"], "caption": "bird 0", "source": "Birds"}',
             b'{"image": ["b.jpg", "c.jpg"], "caption": "bird 0", "source": "Birds"}']  # fmt: skip
    captions.write_bytes(b"\n".join(lines) + b"\n")
    with serving(writer) as server:
        folder = run(server, tmp_path, "out", captions)
    assert [(row["place"], row["reason"]) for row in read_rows(folder / "rejected.jsonl")] == [
        ("c.jsonl:1", "not valid JSON in UTF-8"),
        ("c.jsonl:2", "not a JSON object"),
        ("c.jsonl:3", "it names no image"),
        ("c.jsonl:4", "caption is missing or empty"),
        ("c.jsonl:5", "not valid JSON in UTF-8"),
        ("c.jsonl:7", "it names 2 images, and a caption is about one"),
    ]
    assert [(record["id"], record["image"]) for record in read_records(folder)] == [("c.jsonl:6", "b.jpg")]


def test_a_source_without_a_licence_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "cats.jsonl", 2, source="Cats")
    with serving(writer) as server, pytest.raises(ValueError, match="licences: none is given for source 'Cats'"):
        run(server, tmp_path, "out", captions)
    assert not server.requested
    assert not (tmp_path / "out").exists()


def test_requests_that_stay_without_an_answer_stop_the_run_and_only_they_are_asked_again(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 6)
    broken = {"About: bird 2", "About: bird 4"}
    with serving(lambda user, count: Reply("down", status=500) if user in broken else Reply(pairs(1))) as server:
        with pytest.raises(ValueError, match=r"unanswered_limit: 2 of 6 prompts have no answer .* HTTP 500: down"):
            run(server, tmp_path, "out", captions)
        assert not (tmp_path / "out").exists()
        folder = run(server, tmp_path, "most", captions, asking={"unanswered_limit": 0.5})
        assert [row["place"] for row in read_rows(folder / "rejected.jsonl")] == ["b2", "b4"]
        server.requested.clear()
        asked_before, wanted = set(broken), [f"b{n}" for n in range(6)]
        broken.clear()
        folder = run(server, tmp_path, "out", captions)
    assert set(server.requested) == asked_before
    assert [record["id"] for record in read_records(folder)] == wanted


@pytest.mark.parametrize(
    ("reply", "most", "message"),
    [
        (Reply("bad key", status=401), 8, "HTTP 401: bad key; put it right and run again"),
        (Reply("bad field", status=400), 12, "6 requests in a row failed, the last: .* HTTP 400: bad field"),
    ],
)
def test_an_endpoint_that_answers_nothing_is_not_asked_everything(
    tmp_path: Path, reply: Reply, most: int, message: str
) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 60)
    with serving(lambda user, count: reply) as server, pytest.raises(ValueError, match=message):
        run(server, tmp_path, "out", captions, asking={"stop_after_failures": 6})
    assert server.requested.total() <= most


def test_no_usable_answer_at_all_writes_nothing(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 2)
    refusing, message = (
        serving(lambda user, count: Reply("I cannot do that.")),
        r"no record came of 2 subjects.*b0: the model refuses",
    )
    with refusing as server, pytest.raises(ValueError, match=message):
        run(server, tmp_path, "out", captions)
    assert not (tmp_path / "out").exists()


def test_other_filters_and_templates_use_the_answers_that_still_fit(tmp_path: Path) -> None:
    captions = caption_file(tmp_path / "birds.jsonl", 3)
    with serving(lambda user, count: Reply(pairs(2, user.split()[2]))) as server:
        run(server, tmp_path, "first", captions)
        server.requested.clear()
        folder = run(server, tmp_path, "filtered", captions, filters={"giveaways": ["part 2"]})
        assert not server.requested
        assert [len(record["conversations"]) for record in read_records(folder)] == [2, 2, 2]
        changed = TEMPLATES | {"templates": {"plain": {"user": "Tell of: $caption"}}, "sources": {}}
        write_json(tmp_path / "own.json", changed)
        run(server, tmp_path, "other", captions, templates=str(tmp_path / "own.json"))
    assert set(server.requested) == {f"Tell of: bird {n}" for n in range(3)}
