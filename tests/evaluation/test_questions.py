from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from opabinia.burgess.config import WorldConfig
from opabinia.burgess.world import write_world
from opabinia.evaluation.questions import FAMILIES, BenchmarkConfig, Question, load_questions
from opabinia.evaluation.scoring import random_guess

SOUND: dict[str, Any] = {
    "idx": 7,
    "type": "2D",
    "task": "Count",
    "image": "a.jpg",
    "question": "how many ?",
    "prompt": "how many ? (A) 1 (B) 2",
    "choices": ["1", "2"],
    "answer": "(B)",
    "source": "COCO",
    "family": "vision_centric",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    return tmp_path


def load(folder: Path, *lines: object, family: str = "vision_centric", **settings: Any) -> list[Question]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / f"{family}.jsonl").write_text(text + "\n")
    return load_questions(BenchmarkConfig(folder=str(folder), images=str(folder), families=(family,), **settings))


def test_a_cv_bench_record_becomes_a_question(folder: Path) -> None:
    (read,) = load(folder, SOUND)
    assert read == Question("7", "vision_centric", "Count", "2D", "a.jpg", "how many ?", ("1", "2"), "(B)", "COCO")
    assert read.right_choice == 1
    assert read.right_text == "2"


def test_fields_of_other_benchmarks_and_missing_images_are_allowed(folder: Path) -> None:
    extra = SOUND | {"bbox": [1, 2], "target_class": "cat", "image": None, "choices": None, "answer": "two"}
    (read,) = load(folder, extra)
    assert read.image is None
    assert (read.right_choice, read.right_text) == (None, "two")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "(C)"}, r"answer is '\(C\)'; for 2 choices it is one of \(A\) to \(B\)"),
        ({"answer": "2"}, "answer is '2'"),
        ({"choices": ["1"]}, "1 choices; offer 2 to 26"),
        ({"choices": ["yes", "Yes."]}, "repeat"),
        ({"choices": "yes"}, "choices must be a list"),
        ({"image": "missing.jpg"}, "missing.jpg does not exist"),
        ({"image": "../a.jpg"}, "leaves the images folder"),
        ({"type": "4D"}, "type is '4D'"),
        ({"family": "general"}, "family is 'general', but the file is vision_centric.jsonl"),
        ({"question": ""}, "question is missing"),
        ({"question": "<image> how many ?"}, "question holds <image>"),
        ({"task": None}, "task is missing"),
        ({"idx": ""}, "idx is missing"),
    ],
)
def test_a_bad_question_is_refused_with_its_file_line_and_reason(
    folder: Path, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=rf"vision_centric\.jsonl line 2: .*{reason}") as refusal:
        load(folder, SOUND, SOUND | change)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("line", ["{", "[1]", "nul"])
def test_a_line_that_is_no_object_is_refused(folder: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: (not valid JSON|expected a JSON object)"):
        load(folder, SOUND, line)


def test_numbers_repeated_within_a_family_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="idx '7' twice"):
        load(folder, SOUND, SOUND)


def test_missing_and_empty_files_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"benchmark.folder: .*general\.jsonl does not exist"):
        load_questions(BenchmarkConfig(folder=str(folder), images=str(folder), families=("general",)))
    with pytest.raises(ValueError, match="holds no questions"):
        load(folder)


def test_unknown_names_are_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(
        ValidationError, match=r"benchmark\.families\.1: unknown benchmark family 'ocr_chrt'; did you mean 'ocr_chart'"
    ):
        BenchmarkConfig(folder="f", images="i", families=("general", "ocr_chrt"))
    with pytest.raises(ValidationError, match=r"benchmark\.prompt: unknown prompt kind 'leter'; did you mean 'letter'"):
        BenchmarkConfig(folder="f", images="i", prompt="leter")
    with pytest.raises(
        ValidationError, match=r"benchmark\.files\.docvqa: unknown published benchmark 'docvqa'; did you mean 'doc_vqa'"
    ):
        BenchmarkConfig(folder="f", images="i", files={"docvqa": "a.parquet"})
    with pytest.raises(ValidationError, match="named twice"):
        BenchmarkConfig(folder="f", images="i", families=("general", "general"))


def test_a_limit_keeps_every_task_of_every_family(folder: Path) -> None:
    records = [SOUND | {"idx": n, "task": "Count" if n < 30 else "Relation"} for n in range(32)]
    tasks = [read.task for read in load(folder, *records, limit_per_family=4)]
    assert tasks == ["Count", "Count", "Relation", "Relation"]


def test_the_toy_world_writes_a_benchmark_that_loads(tmp_path: Path) -> None:
    fields = {"folder": tmp_path / "world", "benchmark": 12, "seed": 3}
    world = write_world(WorldConfig(**{**fields, **_smallest_counts()}))
    config = BenchmarkConfig(folder=str(world / "benchmark"), images=str(world / "images"))
    asked = load_questions(config)
    assert [sum(q.family == family for q in asked) for family in FAMILIES] == [12] * 4
    assert all(0 < score <= 50 for score in random_guess(asked).families.values())


def _smallest_counts() -> dict[str, int]:
    counts = ("alignment", "instruction", "scenes", "facts")
    return {name: 2 for name in counts if name in WorldConfig.model_fields}
