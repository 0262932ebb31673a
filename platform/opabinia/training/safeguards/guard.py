"""Which steps must not change the weights: those that are not finite, and spikes.

What is usual is learnt from the last steps alone. A spike is far above it *and rare*: skipped steps count for what is usual too, so
a level that stays, of harder data or of a second kind of batch, is skipped a few times and then usual itself. Distances are those of
logarithms, for losses and gradient norms scatter in proportion to their size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opabinia.config import Config
from opabinia.training.safeguards.guard_config import GuardConfig

RARE = 0.05
"""The share of steps that may be spikes; what is more frequent is usual."""

LEAST_RISE = 0.5
"""Nats above the usual loss up to which nothing is a spike, however little the loss scatters."""

LEAST_RATIO = 3.0
"""Times the usual gradient norm up to which nothing is a spike."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a step.

    reason: why it must be skipped; None where it is to be trained on. stop: why the run must end after it.
    usual_loss, usual_gradient_norm: medians of the steps before; None while there are none.
    """

    reason: str | None
    stop: str | None
    usual_loss: float | None
    usual_gradient_norm: float | None

    @property
    def skips(self) -> bool:
        return self.reason is not None


class GuardState(Config):
    """What a guard has learnt, oldest first, and what it has skipped; numbers that JSON can hold."""

    losses: tuple[float, ...] = ()
    gradient_norms: tuple[float, ...] = ()
    skipped: int = 0
    in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class _Usual:
    """The median of the last steps, and above what their scatter makes a value a spike."""

    median: float | None
    limit: float


class Guard:
    """The guard of one stage. It decides from what it is given alone, so workers that are given the same decide the same."""

    def __init__(self, config: GuardConfig, state: GuardState | None = None) -> None:
        state = state or GuardState()
        self._config = config
        self._losses = deque(state.losses, maxlen=config.window)
        self._gradient_norms = deque(state.gradient_norms, maxlen=config.window)
        self._skipped, self._in_a_row = state.skipped, state.in_a_row

    @classmethod
    def from_state(cls, config: GuardConfig, state: dict[str, Any]) -> Guard:
        """The guard that `to_state` was asked of. Raises ValueError for anything else."""
        return cls(config, GuardState.model_validate(state))

    def to_state(self) -> dict[str, Any]:
        """Plain JSON, without NaN and infinity."""
        return GuardState(
            losses=tuple(self._losses),
            gradient_norms=tuple(self._gradient_norms),
            skipped=self._skipped,
            in_a_row=self._in_a_row,
        ).model_dump(mode="json")

    def judge(self, loss: float, gradient_norm: float) -> Verdict:
        """Judge the next step by its loss and its gradient norm before clipping, both over all workers."""
        usual_loss, usual_norm = self._usual(self._losses), self._usual(self._gradient_norms)
        reason = _not_finite(loss, gradient_norm) or _spike(loss, gradient_norm, usual_loss, usual_norm)
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            _learn(self._losses, loss)
            _learn(self._gradient_norms, gradient_norm)
        self._skipped += reason is not None
        self._in_a_row = 0 if reason is None else self._in_a_row + 1
        stop = None if reason is None else self._stop()
        return Verdict(reason, stop, usual_loss.median, usual_norm.median)

    def _usual(self, values: Sequence[float]) -> _Usual:
        if not values:
            return _Usual(None, math.inf)
        ordered, factor = sorted(values), self._config.factor
        median, high = ordered[len(ordered) // 2], ordered[-1 - int(len(ordered) * RARE)]
        if factor is None or len(values) < min(self._config.warmup_steps, self._config.window):
            return _Usual(median, math.inf)
        limit = math.log(median) + factor * (math.log(high) - math.log(median))
        return _Usual(median, math.exp(limit) if limit < _LARGEST else math.inf)

    def _stop(self) -> str | None:
        if self._in_a_row > self._config.in_a_row:
            return f"more than {self._config.in_a_row} steps in a row (guard.in_a_row) were skipped"
        if self._skipped > self._config.in_all:
            return f"more than {self._config.in_all} steps of this stage (guard.in_all) were skipped"
        return None


# Of which exp is still a float.
_LARGEST = 700.0


def _not_finite(loss: float, gradient_norm: float) -> str | None:
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    return None if math.isfinite(gradient_norm) else f"the gradient norm is {gradient_norm}"


def _spike(loss: float, gradient_norm: float, usual_loss: _Usual, usual_norm: _Usual) -> str | None:
    if usual_loss.median is not None and loss > max(usual_loss.limit, usual_loss.median + LEAST_RISE):
        return f"the loss is {loss:.4g}, where {usual_loss.median:.4g} is usual"
    if usual_norm.median is not None and gradient_norm > max(usual_norm.limit, usual_norm.median * LEAST_RATIO):
        return f"the gradient norm is {gradient_norm:.4g}, where {usual_norm.median:.4g} is usual"
    return None


def _learn(values: deque[float], value: float) -> None:
    # Zero has no logarithm and says nothing of other steps: a batch of text alone gives the connector no gradient.
    if value > 0:
        values.append(value)
