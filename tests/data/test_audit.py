from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from opabinia.data.audit import audit_source, enforce_limit
from opabinia.data.audited import AuditedShard, AuditedSource, AuditSummary
from opabinia.data.conversations.speaking import speak
from opabinia.data.pictures import picture_key
from opabinia.data.records import parse_record
from opabinia.data.source import SourceConfig
from opabinia.data.trainable import TextEncoding
from tests.data.speakers import speaker
from tests.data.specimens import conversation, save_picture, write_lines


def source(folder: Path) -> SourceConfig:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    return SourceConfig(shards=str(folder / "shards"), images=str(folder / "images"))


def bad_world(folder: Path) -> SourceConfig:
    """Every kind of bad line, each in a known place, among sound ones."""
    images = folder / "images"
    for index in range(4):
        save_picture(images / f"{index}.jpg", shade=40 * index)
    Image.effect_noise((64, 64), 80).save(images / "whole.jpg")
    (images / "cut.jpg").write_bytes((images / "whole.jpg").read_bytes()[:-200])
    (images / "page.jpg").write_text("<html>404</html>")
    save_picture(folder / "outside.jpg")
    text = conversation(0)["conversations"]
    write_lines(
        folder / "shards" / "b.jsonl",
        [
            conversation(10, "3.jpg"),
            '{"id": 11, "conversations": [',
            "[1, 2]",
            conversation(12, "0.jpg", conversations=None),
            conversation(13, conversations=text[::-1]),
            conversation(14, "absent.jpg"),
            conversation(15, "cut.jpg"),
            conversation(16, "page.jpg"),
        ],
    )
    write_lines(
        folder / "shards" / "a.jsonl",
        [
            conversation(20, "0.jpg"),
            conversation(21),
            conversation(22, "1.jpg", conversations=text),
            conversation(23, "0.jpg"),
            conversation(24, "../outside.jpg"),
            conversation(25, "cut.jpg"),
        ],
    )
    return source(folder)


@pytest.fixture
def encoding(tokenizer_folder: str) -> TextEncoding:
    return TextEncoding(tokenizer_folder, max_length=64)


def quarantine(audited: AuditedSource) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (audited.folder / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_bad_line_is_counted_with_its_file_line_and_reason(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    audited = audit_source("alignment", bad_world(tmp_path), encoding, tmp_path / "audits")
    found = [(Path(r["file"]).name, r["line"], r["reason"]) for r in quarantine(audited)]
    expected = [
        ("a.jsonl", 3, "0 <image> placeholders for 1 image(s)"),
        ("a.jsonl", 5, "image path '../outside.jpg' leaves the images folder"),
        ("a.jsonl", 6, "image 'cut.jpg' cannot be decoded: "),
        ("b.jsonl", 2, "not valid JSON: "),
        ("b.jsonl", 3, "expected a JSON object, got list"),
        ("b.jsonl", 4, "conversations are missing or not a list of turns"),
        ("b.jsonl", 5, "turn 1 must be from the user, got assistant: roles alternate, user first"),
        ("b.jsonl", 6, "image 'absent.jpg' is missing"),
        ("b.jsonl", 7, "image 'cut.jpg' cannot be decoded: "),
        ("b.jsonl", 8, "image 'page.jpg' is not an image"),
    ]
    assert [(file, line) for file, line, _ in found] == [(file, line) for file, line, _ in expected]
    for (_, _, reason), (_, _, beginning) in zip(found, expected, strict=True):
        assert reason.startswith(beginning)
    assert (audited.counts, audited.summary.rejected) == ((3, 1), 10)


def test_usable_records_come_with_their_places_lengths_and_pictures(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    audited = audit_source("alignment", bad_world(tmp_path), encoding, tmp_path / "audits")
    keys = {name: picture_key(tmp_path / "images" / name) for name in ("0.jpg", "3.jpg")}
    rows = audited.rows(0, ["line", "offset", "size", "tokens", "images", "keys"]).to_pylist()
    content = (tmp_path / "shards" / "a.jsonl").read_bytes()
    assert [row["line"] for row in rows] == [1, 2, 4]
    for row in rows:
        record = parse_record(content[row["offset"] : row["offset"] + row["size"]].decode(), "", 1)
        assert (row["images"], row["keys"]) == (list(record.images), [keys[image] for image in record.images])
        assert row["tokens"] == len(encoding.encode(record).input_ids)
    assert dict(audited.pictures()) == {key: str(tmp_path / "images" / name) for name, key in keys.items()}


def test_a_record_with_several_pictures_needs_all_of_them(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    for index in range(2):
        save_picture(tmp_path / "images" / f"{index}.jpg", shade=90 * index)
    asked = [{"from": "human", "value": "<image> red <image> ?"}, {"from": "gpt", "value": "blue"}]
    both, one_absent = (
        {"image": images, "conversations": asked} for images in (["1.jpg", "0.jpg"], ["1.jpg", "2.jpg"])
    )
    write_lines(tmp_path / "shards" / "a.jsonl", [both, one_absent])
    audited = audit_source("alignment", source(tmp_path), encoding, tmp_path / "audits")
    (row,) = audited.rows(0, ["images", "keys"]).to_pylist()
    assert row["images"] == ["1.jpg", "0.jpg"]
    assert row["keys"] == [picture_key(tmp_path / "images" / image) for image in row["images"]]
    assert [entry["reason"] for entry in quarantine(audited)] == ["image '2.jpg' is missing"]


def test_an_unchanged_source_is_not_read_again_and_a_changed_one_is(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    world, root = bad_world(tmp_path), tmp_path / "audits"
    first = audit_source("alignment", world, encoding, root)
    written = (first.folder / "records.arrow").stat().st_mtime_ns
    assert audit_source("alignment", world, encoding, root) == first
    assert (first.folder / "records.arrow").stat().st_mtime_ns == written
    save_picture(tmp_path / "images" / "absent.jpg")
    assert audit_source("alignment", world, encoding, root).records == first.records + 1
    assert audit_source("alignment", world, TextEncoding(encoding.tokenizer_folder, 32), root).folder != first.folder


def test_shards_without_a_usable_record_keep_their_numbers(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    for name, lines in {"a": ["{"], "b": [], "c": [conversation(1)], "d": []}.items():
        write_lines(tmp_path / "shards" / f"{name}.jsonl", lines)
    audited = audit_source("alignment", source(tmp_path), encoding, tmp_path / "audits")
    assert audited.counts == (0, 0, 1, 0)
    assert [audited.rows(shard, ["line"]).num_rows for shard in range(4)] == [0, 0, 1, 0]


def test_records_whose_answers_cannot_be_told_from_their_prompts_are_rejected_with_the_others(
    local_ray: None, tmp_path: Path
) -> None:
    tokenizer = speaker("byte_level")
    speak(tokenizer, "chatml")
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "images").mkdir()
    save_picture(tmp_path / "images" / "0.jpg")
    melting = [{"from": "human", "value": "red?"}, {"from": "gpt", "value": "\n\nyes"}]
    ending = [{"from": "human", "value": "red?"}, {"from": "gpt", "value": "yes <|im_end|> no"}]
    late = [{"from": "human", "value": "a " * 80}, {"from": "gpt", "value": "yes"}]
    lines = [conversation(0), conversation(1, conversations=melting), "{", conversation(3, conversations=ending)]
    write_lines(tmp_path / "shards" / "a.jsonl", [*lines, conversation(4, "0.jpg")])
    write_lines(tmp_path / "shards" / "b.jsonl", [conversation(5, conversations=late)])
    encoding = TextEncoding(str(tmp_path / "tokenizer"), max_length=60)
    audited = audit_source("alignment", source(tmp_path), encoding, tmp_path / "audits")
    assert [
        (Path(r["file"]).name, r["line"], r["reason"].split(":")[0].split(",")[0]) for r in quarantine(audited)
    ] == [
        ("a.jsonl", 2, "where turn 2 begins"),
        ("a.jsonl", 3, "not valid JSON"),
        ("a.jsonl", 4, "turn 2"),
        ("b.jsonl", 1, "data.max_length"),
    ]
    assert audited.counts == (2, 0)


def test_an_audit_does_not_depend_on_timing(local_ray: None, tmp_path: Path, encoding: TextEncoding) -> None:
    lines = {f"{shard:02d}": [conversation(0) if i % 3 else "{" for i in range(shard * 20)] for shard in range(1, 9)}
    for name, shard in lines.items():
        write_lines(tmp_path / "shards" / f"{name}.jsonl", shard)
    first, second = (
        audit_source("alignment", source(tmp_path), encoding, tmp_path / root) for root in ("first", "second")
    )
    for file in ("records.arrow", "quarantine.jsonl", "audit.json"):
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes()


def test_an_audit_that_fails_leaves_nothing_that_looks_like_one(
    local_ray: None, tmp_path: Path, encoding: TextEncoding
) -> None:
    write_lines(tmp_path / "shards" / "a.jsonl", [conversation(1)])
    with pytest.raises(Exception, match=r"language_model: no tokenizer\.json"):
        audit_source("alignment", source(tmp_path), TextEncoding(str(tmp_path), 64), tmp_path / "audits")
    assert list((tmp_path / "audits").iterdir()) == []


@pytest.fixture
def audited(tmp_path: Path) -> Any:
    def build(good: int, bad: int) -> AuditedSource:
        entries = ({"file": f"/data/{i}.jsonl", "line": i, "reason": f"reason {i}"} for i in range(bad))
        write_lines(tmp_path / "quarantine.jsonl", entries)
        shard = AuditedShard(address="/data/a.jsonl", bytes=1, records=good)
        return AuditedSource(tmp_path, AuditSummary(source="alignment", images="/i", shards=(shard,), rejected=bad))

    return build


def test_bad_records_up_to_the_limit_pass(audited: Any) -> None:
    enforce_limit(audited(99, 1), 0.01)
    enforce_limit(audited(5, 0), 0.0)


def test_above_the_limit_one_line_says_how_many_where_and_why(audited: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^data\.sources\.alignment: 5 of 100 records rejected") as caught:
        enforce_limit(audited(95, 5), 0.01)
    message = str(caught.value)
    place = tmp_path / "quarantine.jsonl"
    assert f"(5.0%, limit 1.0%), 95 left; all in {place}; first: 0.jsonl:0 reason 0; 1.jsonl:1 reason 1; " in message
    assert "reason 3" not in message
    assert "\n" not in message


@pytest.mark.parametrize("bad", [0, 3])
def test_a_source_of_which_nothing_is_left_is_refused_whatever_the_limit(audited: Any, bad: int) -> None:
    with pytest.raises(ValueError, match="0 left"):
        enforce_limit(audited(0, bad), 1.0)
