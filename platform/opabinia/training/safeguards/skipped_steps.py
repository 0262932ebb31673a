"""What was in the batches of skipped steps, for people to look at."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opabinia.storage.addresses import join_address
from opabinia.storage.objects import whole_object
from opabinia.training.safeguards.guard import Verdict
from opabinia.training.safeguards.lasting import LastingError

_LOG = logging.getLogger(__name__)

ROW_COLUMNS = ("samples", "images", "image_keys")
"""The columns of the stream that tell what a row was made of."""


@dataclass(frozen=True, slots=True)
class SkippedPart:
    """What a worker computed on at once. loss: the mean over its own supervised tokens. rows: their ROW_COLUMNS, one dict a row."""

    loss: float
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SkippedSteps:
    """The skipped steps of a stage, below the address `folder`, which is the run's.

    Every worker writes a file of its own for every skipped step, which appears whole or not at all; a run that is resumed before
    that step writes the same file again. Each holds one line of JSON, so `cat` makes one table of them.
    """

    folder: str
    place: int
    stage: str
    worker: int

    def record(
        self, step: int, loss: float, gradient_norm: float, verdict: Verdict, parts: Sequence[SkippedPart]
    ) -> str:
        """Write down this worker's share of a step; the address of the file. Raises ValueError where it cannot be written."""
        if self.worker == 0:
            _LOG.warning("%s: step %d is skipped: %s", self.stage, step, verdict.reason)
        fields = {
            "stage": self.stage,
            "step": step,
            "worker": self.worker,
            "reason": verdict.reason,
            "loss": _number(loss),
            "gradient_norm": _number(gradient_norm),
            "usual_loss": verdict.usual_loss,
            "usual_gradient_norm": verdict.usual_gradient_norm,
            "parts": [{"loss": _number(part.loss), "rows": list(part.rows)} for part in parts],
        }
        name = f"stage-{self.place:02d}-step-{step:08d}-worker-{self.worker:05d}.jsonl"
        address = join_address(self.folder, name)
        with whole_object(address) as handle:
            handle.write(json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n")
        return address

    def stopped(self, step: int, verdict: Verdict) -> LastingError:
        """The error with which a run ends whose guard lost patience; raise it when all workers have recorded the step."""
        usual = "nothing is usual yet" if verdict.usual_loss is None else f"{verdict.usual_loss:.4g} is the usual loss"
        return LastingError(
            f"stages: {self.stage} stopped at step {step}, because {verdict.stop}, this one since {verdict.reason} "
            f"({usual}); look at their samples in {self.folder} and correct the data, or lower the stage's learning rates, "
            "or raise the limit"
        )


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else str(value)
