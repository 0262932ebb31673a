"""The toy world: the same bytes for the same seed, and answers that are true."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from opabinia.burgess.benchmark import CELLS
from opabinia.burgess.config import WorldConfig
from opabinia.burgess.handwriting import HELDOUT_EVERY
from opabinia.burgess.questions import DEPTH_MARGIN, Item, ask, fact
from opabinia.burgess.scenes import Scene, Thing, sample_scene
from opabinia.burgess.vocabulary import SIDES, all_words
from opabinia.burgess.wording import caption, telegram
from opabinia.burgess.world import write_world
from opabinia.evaluation.questions import BenchmarkConfig, load_questions

SMALL = {"scenes": 12, "facts": 3, "benchmark": 24, "shard_size": 5}


def world(folder: Path, seed: int = 0) -> Path:
    return write_world(WorldConfig(folder=folder, seed=seed, **SMALL))


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scenes(count: int = 400) -> list[tuple[Scene, random.Random]]:
    drawn = [(random.Random(index), index) for index in range(count)]
    return [(sample_scene(rng, "train"), rng) for rng, _ in drawn]


def items(task: str) -> list[tuple[Scene, Item]]:
    return [(scene, item) for scene, rng in scenes() for item in ask(scene, rng) if item.task == task]


def named(scene: Scene, phrase: str) -> Thing:
    (thing,) = [thing for thing in scene.things if thing.phrase == phrase]
    return thing


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    one, again, other = (contents(world(tmp_path / name, seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert one == again
    assert one.keys() == again.keys()
    assert one["images/train/000000.jpg"] != other["images/train/000000.jpg"]


def test_a_world_that_is_there_is_reused_and_one_of_other_settings_refused(tmp_path: Path) -> None:
    folder = world(tmp_path / "world")
    before = (folder / "world.json").stat().st_mtime_ns
    assert world(folder) == folder
    assert (folder / "world.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"world\.folder: .* holds a world of other settings"):
        world(folder, seed=1)


def test_records_are_llava_conversations_some_of_text_alone(tmp_path: Path) -> None:
    folder = world(tmp_path / "world")
    records = [json.loads(line) for path in (folder / "instruction").iterdir() for line in path.open()]
    assert len(records) == 15
    pictured = [record for record in records if "image" in record]
    assert len(pictured) == 12
    assert len({record["source"] for record in records}) > 2
    for record in records:
        turns = record["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * (len(turns) // 2)
        assert sum("<image>" in turn["value"] for turn in turns) == ("image" in record)


def test_the_benchmark_is_balanced_over_tasks_and_sources(tmp_path: Path) -> None:
    folder = world(tmp_path / "world")
    questions = load_questions(BenchmarkConfig(folder=str(folder / "benchmark"), images=str(folder / "images")))
    for family, cells in CELLS.items():
        counts = [sum((q.family, q.task, q.source) == (family, *cell) for q in questions) for cell in cells]
        assert sum(counts) == 24
        assert max(counts) - min(counts) <= 1
    assert all(question.image and question.image.startswith("heldout/") for question in questions)


def test_heldout_handwriting_is_never_in_a_training_scene() -> None:
    for split, heldout in (("train", False), ("heldout", True)):
        drawn = [sample_scene(random.Random(index), split, "digits") for index in range(300)]
        assert all((digit.sample % HELDOUT_EVERY == 0) == heldout for scene in drawn for digit in scene.digits)


def test_every_word_is_in_the_language() -> None:
    words = set(all_words())
    for scene, rng in scenes():
        said = [caption(scene), *(" ".join(cell) for cell in telegram(scene))]
        for item in (*ask(scene, rng), fact(rng)):
            said += [item.text, item.answer, *item.choices]
            assert item.answer in item.choices
        assert set(" ".join(said).split()) <= words


def test_counts_are_counted() -> None:
    for scene, item in items("Count"):
        noun = item.text.split()[2]
        shapes = [thing.shape for thing in scene.things]
        number = len(shapes) if noun == "things" else sum(noun.startswith(shape) for shape in shapes)
        assert item.answer == str(number)


def test_the_closer_thing_is_lower_on_the_floor_by_a_margin() -> None:
    for scene, item in items("Depth"):
        near, far = (named(scene, phrase) for phrase in sorted(item.choices, key=lambda p: p != item.answer))
        assert near.depth + DEPTH_MARGIN <= far.depth
        assert near.y + near.radius > far.y + far.radius


def test_relations_hold_in_the_picture() -> None:
    for scene, item in items("Relation"):
        words = item.text.removeprefix("is the ").removesuffix(" ?").split()
        one, other = named(scene, " ".join(words[:2])), named(scene, " ".join(words[-2:]))
        truth = {
            "left": one.x < other.x,
            "right": one.x > other.x,
            "above": one.y < other.y,
            "below": one.y > other.y,
        }
        assert truth[item.answer]


def test_bars_digits_and_sides_are_read_right() -> None:
    for scene, item in items("extreme_bar"):
        extreme = (max if "tallest" in item.text else min)(scene.bars, key=lambda bar: bar.height)
        assert item.answer == extreme.colour
    for scene, item in items("bar_height"):
        (bar,) = [bar for bar in scene.bars if bar.colour in item.text.split()]
        assert item.answer == str(bar.height)
    for scene, item in items("digit"):
        assert int(item.answer) in [d.value for d in scene.digits if d.colour in item.text or len(scene.digits) == 1]
    for scene, item in items("sides"):
        (thing,) = [thing for thing in scene.things if thing.colour in item.text.split()]
        assert item.answer == str(SIDES[thing.shape])
