"""What a stage is watched with in tests."""

from __future__ import annotations

import tempfile

from opabinia.models.multimodal import MultimodalModel
from opabinia.training.guard import Guard
from opabinia.training.guard_config import GuardConfig
from opabinia.training.loop import Watch
from opabinia.training.memory_estimate import memory_facts
from opabinia.training.skipped_steps import SkippedSteps
from opabinia.training.stages import StageConfig


def watching(
    model: MultimodalModel, stage: StageConfig, folder: str | None = None, guard: GuardConfig | None = None
) -> Watch:
    """Skipped steps go below `folder`."""
    memory = memory_facts(model, stage, device="cpu", workers=1, rows=stage.batch, tokens=64)
    skipped = SkippedSteps(folder or tempfile.gettempdir(), 0, stage.name, 0)
    return Watch(Guard(guard or GuardConfig()), skipped, memory)
