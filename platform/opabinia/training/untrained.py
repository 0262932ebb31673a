"""Which modules keep the weights that they were read with, stage by stage; checkpoints name these instead of holding them."""

from __future__ import annotations

from collections.abc import Sequence

from opabinia.models.learner import Learner
from opabinia.training.checkpointing.frozen import is_below, module_digest
from opabinia.training.optimisation.optimiser import set_learning
from opabinia.training.recipe.stages import StageConfig

_LANGUAGE_MODEL = "model.language_model"


def untrained_modules(learner: Learner, stages: Sequence[StageConfig]) -> list[dict[str, str]]:
    """For each stage, the language model and the encoders that neither it nor one before it trains -> digest of their weights.

    Call before the learner is placed or wrapped. Everything is frozen afterwards.
    """
    candidates = [_LANGUAGE_MODEL, *(f"encoders.{name}" for name in learner.encoders_by_id)]
    digests, untrained = dict[str, str](), list[dict[str, str]]()
    for place, stage in enumerate(stages):
        trained = _trained(learner, place, stage)
        candidates = [module for module in candidates if not any(is_below(name, {module: ""}) for name in trained)]
        for module in candidates:
            digests[module] = digests.get(module) or module_digest(learner.get_submodule(module))
        untrained.append({module: digests[module] for module in candidates})
    return untrained


def _trained(learner: Learner, place: int, stage: StageConfig) -> list[str]:
    learner.enter(place)
    learner.requires_grad_(False)
    set_learning(learner.active, stage, learner.active_encoders)
    trained = [name for name, parameter in learner.named_parameters() if parameter.requires_grad]
    learner.requires_grad_(False)
    return trained
