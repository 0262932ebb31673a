"""Which trials a sweep runs."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig
from opabinia.names import trial_name
from opabinia.sweeps.scheduling import SchedulerConfig
from opabinia.sweeps.searching.config import (
    EncoderSet,
    GridSearch,
    RandomSearch,
    RoundRobinSearch,
    SearchConfig,
    TPESearch,
)
from opabinia.sweeps.searching.drawing import searched
from opabinia.sweeps.searching.points import Axes, Configuration, Point, configuration_at, draw, every_point
from opabinia.sweeps.searching.ranges import Range, Value, at_random, highest, lowest
from opabinia.sweeps.settings_space import check_space
from opabinia.sweeps.variants import Variant, check_variant_name


class SweepConfig(Config):
    """Every encoder set with every connector, variant and seed is one trial, unless the search leaves some out."""

    encoder_sets: tuple[EncoderSet, ...] | Literal["all_subsets"] = "all_subsets"
    """The encoder sets to compare, or all_subsets for every non-empty subset of pool."""

    pool: tuple[str, ...] = ()
    """The encoders that all_subsets draws from."""

    connectors: tuple[ConnectorConfig, ...] = Field(min_length=1)
    """The connectors to compare."""

    variants: dict[str, Variant] = Field(default={})
    """Ways to train to compare, by name: each has stages of its own in the place of the experiment's. Empty for those alone."""

    seeds: Annotated[tuple[int, ...], Field(min_length=1)] | None = None
    """Each trial is run once for each seed; null for those that repeats gives."""

    repeats: int | None = Field(default=None, gt=0)
    """Each trial is run so often, with the experiment's seed and the numbers that follow it; null for the seeds listed in seeds, or,
    where there are none, for once."""

    space: dict[str, tuple[Value, ...] | Range] = Field(default={}, exclude_if=lambda space: not space)
    """Settings that configurations differ in too, by path: connector.TYPE.FIELD, which only connectors of that type have, and
    stages.NAME.FIELD. Each has a list of values, or a range from low to high, which random and tpe draw from. Rates are given at a
    stage's base_batch, and follow the batch of each trial."""

    search: SearchConfig = GridSearch()
    """Which configurations (an encoder set with a connector, a variant and settings) are run: grid for every one, random for some, tpe
    for those that look best by the scores so far, or round_robin for those that a greedy selection comes to."""

    max_concurrent: int = Field(default=2, gt=0)
    """Trials that run at the same time."""

    baseline: str | None = Field(default=None, min_length=1)
    """The configuration that the others are compared with: a trial's name without its seed; null for the first that finishes."""

    scheduler: SchedulerConfig | None = SchedulerConfig()
    """When a weak trial is stopped early (asha) or paused (hyperband); null runs every trial to its end."""

    @model_validator(mode="after")
    def _has_encoders(self) -> SweepConfig:
        if self.encoder_sets == "all_subsets":
            if not self.pool:
                raise ValueError("pool: all_subsets needs at least one encoder here")
        elif not self.encoder_sets:
            raise ValueError("encoder_sets: list at least one set, or write all_subsets")
        elif () in self.encoder_sets:
            raise ValueError(f"encoder_sets.{self.encoder_sets.index(())}: an empty set; name at least one encoder")
        return self

    @field_validator("variants")
    @classmethod
    def _names_name_trials(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        for name in variants:
            check_variant_name(name)
        return variants

    @model_validator(mode="after")
    def _selection_can_grow(self) -> SweepConfig:
        search = self.search
        if not isinstance(search, RoundRobinSearch):
            return self
        if self.encoder_sets != "all_subsets":
            raise ValueError("encoder_sets: round_robin selects from pool; write all_subsets, or search: {type: grid}")
        if self.scheduler is not None:
            raise ValueError("scheduler: round_robin compares trials that ran to their end; write scheduler: null")
        outside = [encoder for encoder in search.start if encoder not in self.pool]
        if outside:
            raise ValueError(f"search.start: {outside[0]} is not in pool; add it there")
        if not set(self.pool) - set(search.start):
            raise ValueError("pool: search.start has all of it already; name an encoder that can join")
        if search.most is not None and search.most <= len(set(search.start)):
            raise ValueError(
                f"search.most: {search.most} leaves no room beside the {len(set(search.start))} of start; raise it"
            )
        return self

    @model_validator(mode="after")
    def _space_can_be_searched(self) -> SweepConfig:
        check_space(self.space, self.connectors)
        ranges = [path for path, domain in self.space.items() if isinstance(domain, Range)]
        if ranges and not isinstance(self.search, RandomSearch | TPESearch):
            raise ValueError(
                f"space.{ranges[0]}: a range has no end of values for {self.search.type} to run; list some, or write search: "
                "{type: random, samples: N} or {type: tpe, samples: N}"
            )
        return self

    @model_validator(mode="after")
    def _draws_can_be_compared(self) -> SweepConfig:
        if not isinstance(self.search, TPESearch):
            return self
        if self.scheduler is not None and self.scheduler.type == "hyperband":
            raise ValueError(
                "scheduler: hyperband deals trials to brackets before any is run, and tpe draws them one after another; write asha, or "
                "search: {type: random, samples: N}"
            )
        if self.baseline is not None:
            raise ValueError("baseline: which trials tpe draws is not known beforehand; leave it out (null)")
        return self

    @model_validator(mode="after")
    def _seeds_come_from_one_place(self) -> SweepConfig:
        if self.seeds is not None and self.repeats is not None:
            raise ValueError(
                f"repeats: {self.repeats}, but seeds lists {len(self.seeds)} already; leave one of the two out (null)"
            )
        return self


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial: what it trains, and the readable name it has everywhere."""

    encoders: EncoderSet
    connector: ConnectorConfig
    seed: int
    name: str
    label: str
    """The connector's type, what distinguishes it where a sweep holds several of that type, and the variant."""
    variant: str | None
    """Whose stages it has; None for the experiment's own."""
    settings: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """Of connector and stages, by their paths in the sweep's space, in the place of what those say."""


def trials(config: SweepConfig, seed: int = 0) -> tuple[TrialSpec, ...]:
    """List the trials of a sweep that its search runs, each once, in the order settings within variant within connector within encoder
    set within seed. Of those that tpe draws, which are not known, each configuration with its smallest and with its largest settings.

    Encoder sets are sets: the same encoders in another order are the same set, and the first order given is kept.
    `seed`: the experiment's own, from which those of `repeats` follow.
    """
    configurations = _configurations(config)
    short = _short_names(config)
    return tuple(_trial(one, seed, short) for seed in _seeds(config, seed) for one in configurations)


def trials_at(config: SweepConfig, point: Point, seed: int = 0) -> tuple[TrialSpec, ...]:
    """Those of one point, one a seed. Raises LookupError where the sweep does not have that point."""
    short, configuration = _short_names(config), configuration_at(axes_of(config), point)
    return tuple(_trial(configuration, seed, short) for seed in _seeds(config, seed))


def axes_of(config: SweepConfig) -> Axes:
    """What the configurations of the sweep differ in."""
    connectors = list(dict.fromkeys(config.connectors))
    own: dict[str | None, frozenset[str] | None] = {None: None}
    named = {name: frozenset(stage.name for stage in one.stages) for name, one in config.variants.items()}
    return Axes(
        {"+".join(encoders): encoders for encoders in _encoder_sets(config)},
        dict(zip(_connector_labels(connectors), connectors, strict=True)),
        {**named} or own,
        config.space,
    )


def drawn_trials(config: SweepConfig) -> int | None:
    """The most that a search runs which draws its trials while they are trained; None of another."""
    return config.search.samples * len(_seeds(config, 0)) if isinstance(config.search, TPESearch) else None


def search_text(config: SweepConfig) -> str | None:
    """What the search leaves out, for people; None where it leaves nothing out."""
    if isinstance(config.search, RoundRobinSearch):
        return "round_robin: those of these that the selection comes to, which is known when they are trained"
    if isinstance(config.search, TPESearch):
        return (
            f"tpe: at most {config.search.samples} configurations, drawn while they are trained, with seed {config.search.seed}; "
            "below, each with its smallest and its largest settings"
        )
    if not isinstance(config.search, RandomSearch):
        return None
    if axes_of(config).has_ranges:
        return f"random: {config.search.samples} of no end of configurations, drawn with seed {config.search.seed}"
    whole = {(trial.encoders, trial.label) for trial in trials(config.model_copy(update={"search": GridSearch()}))}
    drawn = min(config.search.samples, len(whole))
    return f"random: {drawn} of {len(whole)} configurations, drawn with seed {config.search.seed}"


def _configurations(config: SweepConfig) -> list[Configuration]:
    axes = axes_of(config)
    if isinstance(config.search, TPESearch):
        points = _ends(axes)
    elif isinstance(config.search, RandomSearch) and axes.has_ranges:
        points = [
            draw(axes, at_random(random.Random(f"{config.search.seed}/{number}")))
            for number in range(config.search.samples)
        ]
    else:
        points = searched(every_point(axes), config.search)
    unique = {(one.encoders, one.label): one for one in (configuration_at(axes, point) for point in points)}
    return list(unique.values())


def _ends(axes: Axes) -> list[Point]:
    """Of each encoder set, connector and variant, those with the smallest and the largest settings."""
    bare = every_point(Axes(axes.encoder_sets, axes.connectors, axes.variants, {}))
    return [
        draw(axes, lambda name, domain, point=point, end=end: point.get(name, end(name, domain)))
        for point in bare
        for end in (lowest, highest)
    ]


def _trial(configuration: Configuration, seed: int, short: Mapping[str, str]) -> TrialSpec:
    encoders, label = configuration.encoders, configuration.label
    name = trial_name(f"{'+'.join(short[encoder] for encoder in encoders)}.{label}", seed)
    return TrialSpec(
        encoders, configuration.connector, seed, name, label, configuration.variant, configuration.settings
    )


def _seeds(config: SweepConfig, seed: int) -> tuple[int, ...]:
    if config.seeds is not None:
        return tuple(dict.fromkeys(config.seeds))
    return tuple(range(seed, seed + (config.repeats or 1)))


def _encoder_sets(config: SweepConfig) -> list[EncoderSet]:
    if config.encoder_sets == "all_subsets":
        pool = tuple(dict.fromkeys(config.pool))
        subsets = [subset for size in range(1, len(pool) + 1) for subset in combinations(pool, size)]
        return [subset for subset in subsets if _is_searched(subset, config.search)]
    unique: dict[frozenset[str], EncoderSet] = {}
    for encoders in config.encoder_sets:
        unique.setdefault(frozenset(encoders), tuple(dict.fromkeys(encoders)))
    return list(unique.values())


def _is_searched(subset: EncoderSet, search: SearchConfig) -> bool:
    if not isinstance(search, RoundRobinSearch):
        return True
    return set(search.start) <= set(subset) and (search.most is None or len(subset) <= search.most)


def _short_names(config: SweepConfig) -> dict[str, str]:
    """Drop the publisher of each encoder where the rest alone still tells the encoders apart."""
    ids = list(dict.fromkeys(encoder for encoders in _encoder_sets(config) for encoder in encoders))
    last = [encoder.rsplit("/", 1)[-1] for encoder in ids]
    return {
        encoder: name if last.count(name) == 1 else encoder.replace("/", ".")
        for encoder, name in zip(ids, last, strict=True)
    }


def _connector_labels(connectors: Sequence[ConnectorConfig]) -> list[str]:
    """Name each connector by its type, and by the settings that differ where several share a type."""
    return [_label(connector, [c for c in connectors if c.type == connector.type]) for connector in connectors]


def _label(connector: ConnectorConfig, alike: Sequence[ConnectorConfig]) -> str:
    settings = [other.model_dump() for other in alike]
    differing = [field for field in settings[0] if len({other[field] for other in settings}) > 1]
    return ",".join([connector.type, *(f"{field}={getattr(connector, field)}" for field in differing)])
