"""Records in the many ways in which data sets are published, and the means to write them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

Packing = Callable[[bytes], bytes]

PACKINGS: Mapping[str, Packing] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.compress(content, codec="zstd", asbytes=True),
}


def turns(question: str, answer: str = "Red, \"[{\\ 'é'.") -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


MIXED: list[dict[str, Any]] = [
    {"id": "000000033471", "image": "coco/1.jpg", "conversations": turns("<image>\nWhat?")},
    {"id": 12, "image": "0.png", "source": "sqa", "conversations": turns("What?\n<image>")},
    {"conversations": turns("Who wrote it?")},
    {"id": None, "image": None, "conversations": turns("Why?")},
    {"id": 1.5, "image": "None", "model": "", "conversations": turns("Why?")},
    {"id": "a", "image": ["0.png", "1.png"], "category": "general", "conversations": turns("<image> or <image>?")},
    {"id": "b", "image": [], "conversations": turns("Nothing?")},
]


def write(path: Path, content: bytes, packing: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PACKINGS[packing](content))
    return path


def as_jsonl(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def as_array(records: list[dict[str, Any]], indent: int | None = None) -> bytes:
    return json.dumps(records, indent=indent, ensure_ascii=False).encode()
