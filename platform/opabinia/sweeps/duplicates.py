"""Which settings of a sweep say again what others say already."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from opabinia.sweeps.space import SweepConfig


def duplicates(config: SweepConfig) -> tuple[str, ...]:
    """A line each; the trials that they would repeat are run once."""
    return (
        *_encoder_sets(config),
        *(
            f"sweep.connectors.{place}: {config.connectors[place].type} with the settings of sweep.connectors.{first}"
            for place, first in _again(config.connectors)
        ),
        *(f"sweep.seeds.{place}: the seed of sweep.seeds.{first}" for place, first in _again(config.seeds or ())),
    )


def _encoder_sets(config: SweepConfig) -> Iterable[str]:
    if config.encoder_sets == "all_subsets":
        return [f"sweep.pool.{place}: the encoder of sweep.pool.{first}" for place, first in _again(config.pool)]
    sets = config.encoder_sets
    return [
        f"sweep.encoder_sets.{place}: {' + '.join(sets[place])}, the set of sweep.encoder_sets.{first}"
        for place, first in _again([frozenset(one) for one in sets])
    ]


def _again(values: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Places of values that stand earlier too, and where they stand first."""
    firsts: dict[Hashable, int] = {}
    return [(place, first) for place, value in enumerate(values) if (first := firsts.setdefault(value, place)) != place]
