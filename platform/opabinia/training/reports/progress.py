"""Where a run stands, and what is to be told of it at its next report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opabinia.data.streaming.plan import StreamPosition
from opabinia.training.loop import Step
from opabinia.training.recipe.stages import StageConfig


@dataclass
class Progress:
    """steps, reports: of all stages so far. stage: number of the one that is going on, `done` steps of which are behind.

    position: where its data go on; None at its beginning. guard: what is usual in the stage, as its guard knows it.
    curve: a point for each step since the last report. reported: those of
    the last report, which is told again after a failure, for nobody may have heard it. started: when the run
    was asked for, seconds since the epoch; spent: seconds of earlier attempts, up to what could be resumed.
    """

    started: float
    spent: float = 0.0
    stage: int = 0
    done: int = 0
    position: StreamPosition | None = None
    steps: int = 0
    reports: int = 0
    first_step_at: float | None = None
    guard: dict[str, Any] = field(default_factory=dict[str, Any])
    curve: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    reported: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @property
    def seconds(self) -> float:
        """How long the run has taken, without what was lost to failures."""
        return self.spent + time.time() - self.started

    def enter(self, stage: int) -> None:
        """Begin a stage, unless it is the one that is gone on with."""
        if stage != self.stage:
            self.stage, self.done, self.position, self.guard = stage, 0, None, {}

    def add(self, stage: StageConfig, step: Step, more: Mapping[str, float]) -> None:
        """A step was made; `more` is what else its point of the curve tells."""
        self.first_step_at = self.first_step_at or time.time() - step.step_seconds
        self.steps += 1
        self.done, self.position = step.number, step.position
        # The loss of a skipped step may be no number.
        losses = {} if step.skipped else {"loss": step.loss, f"loss/{stage.name}": step.loss}
        point = {
            "step": self.steps,
            **losses,
            "skipped": float(step.skipped is not None),
            "data_seconds": step.data_seconds,
            "padding": step.padding,
        }
        self.curve.append({**point, "step_seconds": step.step_seconds, **step.rates, **more})

    def take_curve(self) -> list[dict[str, Any]]:
        """The curve since the last report, for this one."""
        self.reported, self.curve = self.curve, []
        return self.reported

    def facts(self) -> dict[str, Any]:
        """What a checkpoint must tell for `resumed` to go on from here, as plain JSON."""
        return {
            "stage": self.stage,
            "done": self.done,
            "position": None if self.position is None else self.position.model_dump(),
            "steps": self.steps,
            "reports": self.reports,
            "seconds": self.seconds,
            "guard": self.guard,
            "curve": [*self.reported, *self.curve],
        }


def resumed(facts: Mapping[str, Any], started: float) -> Progress:
    """The progress that `facts` were taken from, in an attempt that began at `started`."""
    return Progress(
        started=started,
        spent=facts["seconds"],
        stage=facts["stage"],
        done=facts["done"],
        position=StreamPosition.model_validate(facts["position"]),
        steps=facts["steps"],
        reports=facts["reports"],
        guard=dict(facts["guard"]),
        curve=list(facts["curve"]),
    )
