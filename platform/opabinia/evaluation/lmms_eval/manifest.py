"""What lmms-eval finds at its entry point `lmms_eval.models`: under which name, and where, the model classes are."""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAME = "opabinia"


def manifest() -> Any:
    """A ModelManifest; tasks are asked as chats unless `--force_simple` is given."""
    registry: Any = import_module("lmms_eval.models.registry_v2")
    return registry.ModelManifest(model_id=NAME, chat_class_path=f"{__package__}.model.OpabiniaChat")
