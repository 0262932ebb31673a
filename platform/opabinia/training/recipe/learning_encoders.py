"""Which encoders learn in a run; no torch, since it is asked for before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opabinia.training.recipe.parts import ENCODERS, encoder_part
from opabinia.training.recipe.stages import EACH, StageSettings


def learning_encoders(stages: Iterable[StageSettings], encoders: Sequence[str]) -> tuple[str, ...]:
    """Those of `encoders` that learn in any of the stages, in their order.

    Stored features cannot stand for them in any stage: what they give changes, or has changed, or is going to.
    """
    stages = tuple(stages)
    return tuple(name for name in encoders if any(_learns(name, stage) for stage in stages))


def frozen_encoders(stages: Iterable[StageSettings], encoders: Sequence[str]) -> tuple[str, ...]:
    """The others, whose features can be computed once for all runs with these stages, whatever set of encoders each has."""
    learning = learning_encoders(stages, encoders)
    return tuple(name for name in encoders if name not in learning)


def _learns(encoder: str, stage: StageSettings) -> bool:
    is_there = stage.alone in (None, EACH, encoder)
    return is_there and bool({ENCODERS, encoder_part(encoder)} & set(stage.trains))
