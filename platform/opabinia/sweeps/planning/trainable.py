"""Which runs can be trained, found out by putting each together without its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from opabinia.names import configuration_name
from opabinia.sweeps.possible import LeftOut, reason_of
from opabinia.training.run import RunConfig

Found = TypeVar("Found")


def configuration_of(run: RunConfig) -> str:
    """What trials have in common that differ in their seed alone."""
    return configuration_name(run.name, run.seed)


def examined(
    runs: Iterable[RunConfig], examine: Callable[[RunConfig], Found]
) -> tuple[dict[str, Found], list[LeftOut]]:
    """Configuration -> what `examine` found of its first run; and every trial of a configuration for which it raised ValueError."""
    found: dict[str, Found] = {}
    reasons: dict[str, str] = {}
    left_out: list[LeftOut] = []
    for run in runs:
        configuration = configuration_of(run)
        if configuration not in found and configuration not in reasons:
            try:
                found[configuration] = examine(run)
            except ValueError as error:
                reasons[configuration] = reason_of(error)
        if configuration in reasons:
            left_out.append(LeftOut(run.name, reasons[configuration]))
    return found, left_out


def trainable(runs: Iterable[RunConfig]) -> tuple[list[RunConfig], list[LeftOut]]:
    """The runs whose parts fit, and the others. Raises ValueError with the first reason where there are only others."""
    from opabinia.sweeps.planning.bare import bare_stages

    every = list(runs)
    found, left_out = examined(every, lambda run: [stage.trained for stage in bare_stages(run)])
    if not found:
        raise ValueError(f"sweep: no trial can be trained; {left_out[0].trial}: {left_out[0].reason}")
    return [run for run in every if configuration_of(run) in found], left_out
