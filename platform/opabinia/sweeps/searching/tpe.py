"""Which point the tree-structured Parzen estimator tries next (Bergstra et al. 2011), as Optuna computes it.

Decided from the points so far and a seed, and from nothing else, so that a search that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from opabinia.sweeps.searching.config import TPESearch
from opabinia.sweeps.searching.points import Axes, Point, draw
from opabinia.sweeps.searching.ranges import Domain, Range, Value, holds, value_text

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_ATTEMPTS = 64
"""At a point that was not tried yet, first by the estimator and then at random."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A point that was drawn. score: the last one, None of one that gave none. reports: how many it gave."""

    point: Point
    state: Literal["running", "finished", "stopped", "failed"]
    score: float | None = None
    reports: int = 0


def next_point(axes: Axes, search: TPESearch, tried: Sequence[Tried]) -> Point | None:
    """One that was not tried; None where there seems to be no other. Higher scores are better.

    Raises ValueError where Optuna is not installed.
    """
    _check_installed()
    from optuna import create_study
    from optuna.trial import TrialState

    with warnings.catch_warnings():
        # Joint estimates over settings that do not always exist are still called experimental.
        warnings.simplefilter("ignore")
        study = create_study(direction="maximize")
        study.add_trials([trial for one in tried if (trial := _trial(axes, one))])
        known = [one.point for one in tried]
        for sampler in _samplers(search, len(tried)):
            study.sampler = sampler
            asked = study.ask()
            point = draw(axes, partial(_suggested, asked))
            if point not in known:
                return point
            # A trial that failed teaches the estimator nothing.
            study.tell(asked, state=TrialState.FAIL)
    return None


def _check_installed() -> None:
    try:
        import optuna
    except ImportError:
        raise ValueError(
            "sweep.search: tpe needs the package optuna; install the extra search (pip install 'opabinia[search]')"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _samplers(search: TPESearch, number: int) -> Iterator[BaseSampler]:
    """Each draw has a seed of its own: another attempt, and the same one in a search that goes on, depend on no draws before."""
    from optuna.samplers import RandomSampler, TPESampler

    for attempt in range(2 * _ATTEMPTS):
        seed = int.from_bytes(hashlib.sha256(f"{search.seed}/{number}/{attempt}".encode()).digest()[:4])
        if attempt >= _ATTEMPTS:
            yield RandomSampler(seed=seed)
        else:
            yield TPESampler(
                n_startup_trials=search.startup, seed=seed, multivariate=True, group=True, constant_liar=True
            )


def _trial(axes: Axes, one: Tried) -> FrozenTrial | None:
    """As Optuna knows it; None where the axes do not have that point any more."""
    from optuna.trial import TrialState, create_trial

    distributions: dict[str, BaseDistribution] = {}
    params: dict[str, Any] = {}

    def answer(name: str, domain: Domain) -> Value:
        value = one.point[name]
        if not holds(domain, value):
            raise LookupError(name)
        if _is_open(domain):
            distributions[name], params[name] = _distribution(domain), _param(domain, value)
        return value

    try:
        draw(axes, answer)
    except LookupError:
        return None
    states = {"running": TrialState.RUNNING, "finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    state = states.get(one.state, TrialState.FAIL)
    if one.score is None and state is not TrialState.RUNNING:
        state = TrialState.FAIL
    value = one.score if state is TrialState.COMPLETE else None
    steps = {one.reports: one.score} if one.score is not None and state is not TrialState.FAIL else {}
    return create_trial(state=state, value=value, params=params, distributions=distributions, intermediate_values=steps)


def _suggested(trial: Trial, name: str, domain: Domain) -> Value:
    if not _is_open(domain):
        assert isinstance(domain, tuple)
        return domain[0]
    if not isinstance(domain, Range):
        texts = {value_text(value): value for value in domain}
        return texts[trial.suggest_categorical(name, list(texts))]
    if domain.is_whole:
        return trial.suggest_int(name, int(domain.low), int(domain.high), log=domain.log)
    return trial.suggest_float(name, float(domain.low), float(domain.high), log=domain.log)


def _is_open(domain: Domain) -> bool:
    """Whether there is anything to choose."""
    return isinstance(domain, Range) or len(domain) > 1


def _distribution(domain: Domain) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(domain, Range):
        return CategoricalDistribution([value_text(value) for value in domain])
    if domain.is_whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(float(domain.low), float(domain.high), log=domain.log)


def _param(domain: Domain, value: Value) -> Any:
    return value if isinstance(domain, Range) else value_text(value)
