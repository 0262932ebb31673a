"""The held-out benchmark: four families in CV-Bench's record fields, balanced over tasks and sources."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from opabinia.burgess.config import WorldConfig
from opabinia.burgess.questions import Item, ask, fact
from opabinia.burgess.render import render_jpeg
from opabinia.burgess.scenes import sample_scene

Cell = tuple[str, str, str]
"""Family, task and source: what questions are balanced over."""

CELLS: dict[str, tuple[tuple[str, str], ...]] = {
    "general": (
        ("colour", "flat"), ("colour", "room"), ("shape", "flat"), ("shape", "room"),
        ("existence", "flat"), ("existence", "room"), ("size", "flat"),
    ),
    "knowledge": (("sides", "flat"), ("sides", "room"), ("fact", "flat"), ("fact", "room")),
    "ocr_chart": (("digit", "digits"), ("extreme_bar", "chart"), ("bar_height", "chart")),
    "vision_centric": (
        ("Count", "flat"), ("Count", "room"), ("Relation", "flat"), ("Relation", "room"), ("Depth", "room"), ("Distance", "room"),
    ),
}  # fmt: skip
"""The (task, source) cells of each family; a source is the kind of scene."""
_THREE_DIMENSIONAL = {"Depth", "Distance"}


def write_benchmark(folder: Path, config: WorldConfig) -> None:
    """Write `benchmark/FAMILY.jsonl` and `images/heldout/`, with `config.benchmark` questions a family."""
    images = folder / "images" / "heldout"
    images.mkdir(parents=True)
    wanted = _quotas(config.benchmark)
    records: dict[str, list[dict[str, Any]]] = {family: [] for family in CELLS}
    index = 0
    while any(wanted.values()):
        _use_scene(index, images, wanted, records, config.seed)
        index += 1
    (folder / "benchmark").mkdir()
    for family, rows in records.items():
        lines = [json.dumps({"idx": number, **row}) + "\n" for number, row in enumerate(rows)]
        (folder / "benchmark" / f"{family}.jsonl").write_text("".join(lines))


def _quotas(per_family: int) -> dict[Cell, int]:
    quotas: dict[Cell, int] = {}
    for family, cells in CELLS.items():
        for place, (task, source) in enumerate(cells):
            quotas[family, task, source] = per_family // len(cells) + (place < per_family % len(cells))
    return quotas


def _use_scene(
    index: int, images: Path, wanted: dict[Cell, int], records: dict[str, list[dict[str, Any]]], seed: int
) -> None:
    rng = random.Random(f"world-{seed}-heldout-{index}")
    scene = sample_scene(rng, "heldout")
    picture = render_jpeg(scene, rng)
    name = f"heldout/{index:06d}.jpg"
    items = [*ask(scene, rng), fact(rng)]
    asked = [item for item in items if wanted.get((item.family, item.task, scene.kind), 0)]
    for item in asked:
        wanted[item.family, item.task, scene.kind] -= 1
        records[item.family].append(_record(item, name, scene.kind, rng))
    if asked:
        (images / f"{index:06d}.jpg").write_bytes(picture)


def _record(item: Item, image: str, source: str, rng: random.Random) -> dict[str, Any]:
    choices = rng.sample(item.choices, len(item.choices))
    options = [f"({letter}) {choice}" for letter, choice in zip("ABCDEFGHIJ", choices, strict=False)]
    dimensions = "3D" if item.task in _THREE_DIMENSIONAL else "2D"
    return {
        "type": dimensions if item.family == "vision_centric" else item.family,
        "task": item.task,
        "image": image,
        "question": item.text,
        "prompt": f"{item.text} {' '.join(options)}",
        "choices": choices,
        "answer": options[choices.index(item.answer)][:3],
        "source": source,
        "family": item.family,
    }
