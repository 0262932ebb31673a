"""What a stage is trained and watched with in tests."""

from __future__ import annotations

import tempfile

from opabinia.models.learner import Learner
from opabinia.models.multimodal import MultimodalModel
from opabinia.training.backends.choose import open_backend
from opabinia.training.backends.config import HardwareConfig
from opabinia.training.loop import Trained, Watch
from opabinia.training.memory.estimate import memory_facts
from opabinia.training.optimisation.optimiser import build_optimiser
from opabinia.training.placing import Placing
from opabinia.training.recipe.stages import StageConfig
from opabinia.training.safeguards.guard import Guard
from opabinia.training.safeguards.guard_config import GuardConfig
from opabinia.training.safeguards.skipped_steps import SkippedSteps


def watching(
    model: MultimodalModel, stage: StageConfig, folder: str | None = None, guard: GuardConfig | None = None
) -> Watch:
    """Skipped steps go below `folder`."""
    memory = memory_facts(model, stage, device="cpu", workers=1, rows=stage.batch, tokens=64)
    skipped = SkippedSteps(folder or tempfile.gettempdir(), 0, stage.name, 0)
    return Watch(Guard(guard or GuardConfig()), skipped, memory)


def alone(model: MultimodalModel, stage: StageConfig) -> Trained:
    """By one worker on the CPU."""
    optimiser = build_optimiser(model, stage)
    backend = open_backend("cpu", HardwareConfig())
    return Trained(Learner(model), optimiser, backend, Placing(model.layout))
