"""Write Burgess to disk: LLaVA-format training shards, pictures, and a held-out benchmark.

images/train/000000.jpg …      alignment/part-00000.jsonl …      benchmark/general.jsonl …
images/heldout/000000.jpg …    instruction/part-00000.jsonl …    world.json
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opabinia.burgess.benchmark import write_benchmark
from opabinia.burgess.config import WorldConfig
from opabinia.burgess.questions import Item, ask, fact
from opabinia.burgess.render import render_jpeg
from opabinia.burgess.scenes import Scene, sample_scene
from opabinia.burgess.wording import DESCRIBE, caption
from opabinia.data.shards import write_shards
from opabinia.storage.atomic import whole_folder

VERSION = 1
"""Raised whenever the same settings would give other bytes."""
TURNS = 4
"""Most questions in one conversation."""
_SOURCES = {"flat": "burgess-vqa", "room": "burgess-spatial", "digits": "burgess-ocr", "chart": "burgess-chart"}


def write_world(config: WorldConfig) -> Path:
    """Write the world, or reuse the one that is there with the same settings; returns its folder.

    Raises ValueError when the folder holds something else.
    """
    identity = {"version": VERSION, **config.model_dump(mode="json", exclude={"folder"})}
    if config.folder.exists():
        _require_same(config.folder, identity)
        return config.folder
    config.folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(config.folder) as draft:
        scenes = _write_pictures(draft / "images" / "train", config)
        write_shards(_captions(scenes), draft / "alignment", config.shard_size)
        write_shards(_conversations(scenes, config), draft / "instruction", config.shard_size)
        write_benchmark(draft, config)
        (draft / "world.json").write_text(json.dumps(identity, indent=1) + "\n")
    return config.folder


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    marker = folder / "world.json"
    if not marker.is_file():
        raise ValueError(f"world.folder: {folder} exists and is not a world; choose another folder")
    if json.loads(marker.read_text()) != identity:
        raise ValueError(f"world.folder: {folder} holds a world of other settings; delete it or choose another folder")


def _write_pictures(folder: Path, config: WorldConfig) -> list[Scene]:
    folder.mkdir(parents=True)
    scenes: list[Scene] = []
    for index in range(config.scenes):
        rng = random.Random(f"world-{config.seed}-train-{index}")
        scenes.append(sample_scene(rng, "train"))
        (folder / f"{index:06d}.jpg").write_bytes(render_jpeg(scenes[-1], rng))
    return scenes


def _captions(scenes: list[Scene]) -> Iterator[dict[str, Any]]:
    for index, scene in enumerate(scenes):
        turns = [("human", f"<image>\n{DESCRIBE}"), ("gpt", caption(scene))]
        yield _record(f"caption-{index}", "burgess-captions", turns, image=f"train/{index:06d}.jpg")


def _conversations(scenes: list[Scene], config: WorldConfig) -> Iterator[dict[str, Any]]:
    """Pictured and text-only conversations, mixed in a fixed random order."""
    order = [*range(len(scenes)), *(-1 - number for number in range(config.facts))]
    random.Random(f"world-{config.seed}-order").shuffle(order)
    for index in order:
        rng = random.Random(f"world-{config.seed}-conversation-{index}")
        if index < 0:
            facts = [fact(rng) for _ in range(TURNS)]
            yield _record(f"fact-{-1 - index}", "burgess-facts", _question_turns(facts))
            continue
        items = ask(scenes[index], rng)
        rng.shuffle(items)
        turns = _question_turns(items[:TURNS], opening="<image>\n")
        yield _record(f"conversation-{index}", _SOURCES[scenes[index].kind], turns, image=f"train/{index:06d}.jpg")


def _question_turns(items: list[Item], opening: str = "") -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for number, item in enumerate(items):
        turns += [("human", (opening if number == 0 else "") + item.text), ("gpt", item.answer)]
    return turns


def _record(name: str, source: str, turns: list[tuple[str, str]], image: str | None = None) -> dict[str, Any]:
    record: dict[str, Any] = {"id": name, "source": source}
    if image is not None:
        record["image"] = image
    return {**record, "conversations": [{"from": speaker, "value": text} for speaker, text in turns]}
