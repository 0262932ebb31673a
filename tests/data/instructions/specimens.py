"""Settings that are quick to fail and to try again, and a table of small templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opabinia.data.instructions.settings import InstructionConfig

LICENCE = "CC BY 4.0"
TEMPLATES = {
    "default": "plain",
    "sources": {"Scans": "scan"},
    "templates": {
        "plain": {"system": "Be brief.", "user": "About: $caption", "form": {"least": 1, "most": 2}},
        "scan": {
            "user": "Scan: $caption",
            "optional": {"context": "Known: $context"},
            "form": {"description": True, "least": 1, "most": 3},
            "description_questions": ["What is to be seen?"],
        },
        "topics": {"user": "$count topics of $subfield in $field", "form": {"kind": "list"}},
        "page": {"user": "$title/$section: $caption\n$context"},
    },
}


def write_json(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def settings(url: str, folder: Path, **changes: Any) -> InstructionConfig:
    """Settings as a user would write them; `changes` replace whole fields, or entries of the nested ones."""
    fields: dict[str, Any] = {
        "endpoint": {"base_url": url, "model": "writer", "timeout_s": 5.0},
        "date": "2026-11-21",
        "patience": {"tries": 4, "first_wait_s": 0.01, "longest_wait_s": 3.0},
        "asking": {"at_once": 4},
        "templates": str(write_json(folder / "templates.json", TEMPLATES)),
        "prices": str(write_json(folder / "prices.json", {"prices": {"writer": {"prompt": 2.0, "completion": 10.0}}})),
        "licences": {"Birds": LICENCE, "Scans": LICENCE},
    }
    for name, value in changes.items():
        fields[name] = fields[name] | value if isinstance(value, dict) and name in fields else value
    return InstructionConfig.model_validate(fields)


def caption_file(path: Path, count: int, source: str = "Birds") -> Path:
    """Captions "bird 0", "bird 1", …"""
    rows = [{"id": f"b{n}", "image": f"{n}.jpg", "caption": f"bird {n}", "source": source} for n in range(count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_records(folder: Path) -> list[dict[str, Any]]:
    return [row for part in sorted((folder / "records").glob("part-*.jsonl")) for row in read_rows(part)]
