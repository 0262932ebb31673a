from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from opabinia.data.audit import Audit, Rejection, audit_source, enforce_limit, write_quarantine
from opabinia.data.conversations.speaking import speak
from opabinia.data.pictures import picture_key
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


def test_every_bad_line_is_counted_with_its_file_line_and_reason(local_ray: None, tmp_path: Path) -> None:
    audit = audit_source("alignment", bad_world(tmp_path))
    found = [(Path(r.file).name, r.line, r.reason) for r in audit.rejected]
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
    assert (audit.records, audit.lines) == (4, 14)


def test_usable_pictures_come_with_the_digest_of_their_bytes(local_ray: None, tmp_path: Path) -> None:
    audit = audit_source("alignment", bad_world(tmp_path))
    assert audit.images == {name: picture_key(tmp_path / "images" / name) for name in ("0.jpg", "3.jpg")}


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
    audit = audit_source("alignment", source(tmp_path), TextEncoding(str(tmp_path / "tokenizer"), max_length=60))
    assert [(Path(r.file).name, r.line, r.reason.split(":")[0].split(",")[0]) for r in audit.rejected] == [
        ("a.jsonl", 2, "where turn 2 begins"),
        ("a.jsonl", 3, "not valid JSON"),
        ("a.jsonl", 4, "turn 2"),
        ("b.jsonl", 1, "data.max_length"),
    ]
    assert (audit.records, list(audit.images)) == (2, ["0.jpg"])
    assert {Path(file).name: lines for file, lines in audit.rejected_lines.items()} == {
        "a.jsonl": (2, 3, 4),
        "b.jsonl": (1,),
    }


def test_an_audit_does_not_depend_on_timing(local_ray: None, tmp_path: Path) -> None:
    lines = {f"{shard:02d}": [conversation(0) if i % 3 else "{" for i in range(shard * 20)] for shard in range(1, 9)}
    for name, shard in lines.items():
        write_lines(tmp_path / "shards" / f"{name}.jsonl", shard)
    first, second = (audit_source("alignment", source(tmp_path)) for _ in range(2))
    assert first == second
    assert [r.file for r in first.rejected] == sorted(r.file for r in first.rejected)


def test_the_quarantine_file_holds_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run" / "quarantine.jsonl"
    rejections = (Rejection("a.jsonl", 3, "image 'é.jpg' is missing"), Rejection("b.jsonl", 1, "not valid JSON"))
    write_quarantine(rejections, path)
    assert [Rejection(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()] == list(rejections)


def audited(good: int, bad: int) -> Audit:
    rejected = tuple(Rejection(f"/data/{i}.jsonl", i, f"reason {i}") for i in range(bad))
    return Audit("alignment", good, rejected, {})


def test_bad_records_up_to_the_limit_pass() -> None:
    enforce_limit(audited(99, 1), 0.01, Path("q.jsonl"))
    enforce_limit(audited(5, 0), 0.0, Path("q.jsonl"))


def test_above_the_limit_one_line_says_how_many_where_and_why() -> None:
    with pytest.raises(ValueError, match=r"^data\.sources\.alignment: 5 of 100 records rejected") as caught:
        enforce_limit(audited(95, 5), 0.01, Path("out/q.jsonl"))
    message = str(caught.value)
    assert "(5.0%, limit 1.0%), 95 left; all in out/q.jsonl; first: 0.jsonl:0 reason 0; 1.jsonl:1 reason 1; " in message
    assert "reason 3" not in message
    assert "\n" not in message


@pytest.mark.parametrize("bad", [0, 3])
def test_a_source_of_which_nothing_is_left_is_refused_whatever_the_limit(bad: int) -> None:
    with pytest.raises(ValueError, match="0 left"):
        enforce_limit(audited(0, bad), 1.0, Path("q.jsonl"))
