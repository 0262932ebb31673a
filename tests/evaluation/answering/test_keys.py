"""An answer is kept under what it follows from."""

from __future__ import annotations

from pathlib import Path

import pytest

from opabinia.evaluation.answering import keys
from opabinia.evaluation.answering.keys import answer_key, checkpoint_digest, picture_digest


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture(autouse=True)
def unread() -> None:
    # Within one run files do not change; a test is many runs.
    keys._content_digest.cache_clear()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write(tmp_path / "checkpoint", "model.safetensors", "weights")
    return write(tmp_path / "checkpoint", "language_model/config.json", "{}").parents[1]


def test_the_key_changes_with_each_thing_that_the_answer_follows_from(monkeypatch: pytest.MonkeyPatch) -> None:
    all_keys = {
        answer_key("m", "q", "p", 4),
        answer_key("n", "q", "p", 4),
        answer_key("m", "r", "p", 4),
        answer_key("m", "q", "", 4),
        answer_key("m", "q", "p", 5),
        answer_key("mq", "", "p", 4),
    }
    before = answer_key("m", "q", "p", 4)
    monkeypatch.setattr(keys, "VERSION", keys.VERSION + 1)
    assert len(all_keys | {answer_key("m", "q", "p", 4)}) == 7
    assert before in all_keys


@pytest.mark.parametrize("name", ["model.safetensors", "language_model/config.json", "new.safetensors"])
def test_a_checkpoint_is_another_when_a_file_of_it_is(checkpoint: Path, name: str) -> None:
    before = checkpoint_digest(checkpoint)
    write(checkpoint, name, "other")
    keys._content_digest.cache_clear()
    assert checkpoint_digest(checkpoint) != before


def test_a_checkpoint_is_the_same_elsewhere_and_with_results_written_into_it(checkpoint: Path) -> None:
    before = checkpoint_digest(checkpoint)
    moved = checkpoint.rename(checkpoint.with_name("moved"))
    for name in ("report.json", "answers.json", "masks.json", "shares.json", "kept/lock", "kept/a-1.answers.jsonl"):
        write(moved, name, "{}")
    assert checkpoint_digest(moved) == before


def test_a_picture_is_known_by_its_bytes_whatever_it_is_called(tmp_path: Path) -> None:
    for name, content in {"a.png": "one", "b.png": "one", "c.png": "two"}.items():
        write(tmp_path, name, content)
    a, b, c = (picture_digest(name, tmp_path) for name in ("a.png", "b.png", "c.png"))
    assert a == b != c


def test_a_picture_in_a_published_file_is_known_by_the_file_and_its_place(tmp_path: Path) -> None:
    file, other = write(tmp_path, "a.parquet", "one"), write(tmp_path, "b.parquet", "two")
    places = {picture_digest(f"{path}#{row}.image", None) for path in (file, other) for row in (0, 1)}
    assert len(places) == 4
    copied = write(tmp_path, "copy#1.parquet", "one")
    assert picture_digest(f"{copied}#0.image", None) in places
    by_itself = write(tmp_path, "3#4.png", "one")
    assert picture_digest(str(by_itself), None) == picture_digest("3#4.png", tmp_path)


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"benchmark\.images: .*/none\.png cannot be read"):
        picture_digest("none.png", tmp_path)
