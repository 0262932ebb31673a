"""Run by test_kill in a process of its own, with a Ray of its own: generates from captions until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import ray

from opabinia.data.instructions.pipeline import generate_from_captions
from opabinia.data.instructions.settings import InstructionConfig

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    untyped: Any = ray
    context = untyped.init(address="local", num_cpus=2, include_dashboard=False)
    (folder / "session").write_text(context.address_info["session_dir"])
    settings = InstructionConfig.model_validate_json((folder / "settings.json").read_text())
    generate_from_captions(settings, [folder / "birds.jsonl"], folder / "killed", answers=folder / "answers")
