"""A small data set as others publish theirs: files of many forms with what goes wrong in them, real pictures, a benchmark."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.data.deduplication.photographs import photographs, save
from tests.data.preparation.published import as_array, turns

CHARTS, GRAPHS, TEXTS = 60, 50, 30
"""Sound records of each source, copies left out."""
BAD = 6
"""Lines and records that cannot be used."""
COPIES = 4
LEAKED = 2
"""Pictures of the benchmark that are trained on; two records of every 20 with pictures show one of them."""


def write_published(folder: Path) -> None:
    """Write charts.json (an array), graphs.jsonl.gz, texts/*.jsonl, images and benchmark pictures into a folder."""
    images = folder / "images"
    for number, image in enumerate(photographs()[:20]):
        save(image, images / f"{number}.jpg", quality=90)
    save(photographs()[21].resize((6, 60)), images / "narrow.png")
    (images / "cut.jpg").write_bytes((images / "3.jpg").read_bytes()[:-400])
    for number in (4, 7, 22, 23):
        save(photographs()[number], folder / "benchmark" / f"q{number}.png")
    charts = [*_asked("ChartQA", CHARTS), _shown("ChartQA", "gone.jpg"), _shown("ChartQA", "cut.jpg")]
    charts += [*list(_asked("ChartQA", COPIES)), _shown("ChartQA", "narrow.png")]
    (folder / "charts.json").write_bytes(as_array(charts, indent=1))
    lines = [json.dumps(record) for record in _asked("gqa.json", GRAPHS)]
    lines[10:10] = ['{"id": 7, "conversations": [', '["no", "record"]']
    (folder / "graphs.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (folder / "texts").mkdir()
    texts = [json.dumps({"id": number, "conversations": turns(f"Why {number}?")}) for number in range(TEXTS)]
    texts.append(json.dumps({"id": "backwards", "conversations": turns("Why?")[::-1]}))
    (folder / "texts" / "a.jsonl").write_text("\n".join(texts[:9]) + "\n\n")
    (folder / "texts" / "b.jsonl").write_text("\n".join(texts[9:]))


def experiment(folder: Path, output: Path, **changes: Any) -> Path:
    """A settings file for jobs/prepare_data.py, beside the output folder; `changes` are laid over the set's fields."""
    mixed = {
        "inputs": [
            {"files": str(folder / "charts.json")},
            {"files": str(folder / "*.gz")},
            {"files": str(folder / "texts"), "source": "OpenOrca"},
        ],
        "images": str(folder / "images"),
        "deduplication": {},
        "curation": {"threshold": 40},
        "system_prompts": {},
    }
    benchmark = {"photographs": {"images": str(folder / "benchmark")}}
    document = {
        "output": str(output),
        "sets": {"mixed": mixed | changes},
        "sharding": {"shard_size": 16},
        "max_rejected": 0.1,
        "leakage": {"distance": 2, "benchmarks": benchmark},
    }
    file = output.with_name(f"{output.name}.yaml")
    file.write_text(yaml.safe_dump(document))
    return file


def _asked(source: str, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield _shown(source, f"{number % 20}.jpg", f"What does {source} ask, {number}?")


def _shown(source: str, image: str, question: str = "What is it?") -> dict[str, Any]:
    # Ids that are numbers in one file and texts in the next are normal.
    identity = len(question) if source == "ChartQA" else f"{source}/{question}"
    return {"id": identity, "source": source, "image": image, "conversations": turns(f"<image>\n{question}")}
