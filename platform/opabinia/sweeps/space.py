"""Which trials a sweep runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig
from opabinia.names import trial_name
from opabinia.sweeps.searching.config import GridSearch, RandomSearch, RoundRobinSearch, SearchConfig
from opabinia.sweeps.searching.drawing import searched
from opabinia.sweeps.variants import Variant, check_variant_name

EncoderSet = tuple[str, ...]


class ASHAConfig(Config):
    """Asynchronous successive halving: at each rung the weaker trials stop. Time is counted in reports."""

    metric: str = "score"
    """The reported number by which trials are compared."""

    mode: Literal["min", "max"] = "max"
    """Whether a small or a large metric is good."""

    grace: int = Field(default=1, gt=0)
    """No trial stops before this many reports; trials are compared then, and again after each reduction_factor-fold."""

    reduction_factor: int = Field(default=2, gt=1)
    """Each time the best one in this many goes on."""


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

    search: SearchConfig = GridSearch()
    """Which configurations (an encoder set with a connector and a variant) are run: grid for every one, random for some, or
    round_robin for those that a greedy selection comes to."""

    max_concurrent: int = Field(default=2, gt=0)
    """Trials that run at the same time."""

    baseline: str | None = Field(default=None, min_length=1)
    """The configuration that the others are compared with: a trial's name without its seed; null for the first that finishes."""

    scheduler: ASHAConfig | None = ASHAConfig()
    """When a weak trial is stopped early; null runs every trial to its end."""

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


def trials(config: SweepConfig, seed: int = 0) -> tuple[TrialSpec, ...]:
    """List the trials of a sweep that its search runs, each once, in the order variant within connector within encoder set within seed.

    Encoder sets are sets: the same encoders in another order are the same set, and the first order given is kept.
    `seed`: the experiment's own, from which those of `repeats` follow.
    """
    sets = _encoder_sets(config)
    short = _short_names(encoder for encoders in sets for encoder in encoders)
    connectors = list(dict.fromkeys(config.connectors))
    labelled = list(zip(connectors, _connector_labels(connectors), strict=True))
    configurations = [
        (encoders, connector, label if variant is None else f"{label},{variant}", variant)
        for encoders in sets
        for connector, label in labelled
        for variant in config.variants or [None]
    ]
    return tuple(
        TrialSpec(
            encoders,
            connector,
            seed,
            trial_name(f"{'+'.join(short[e] for e in encoders)}.{label}", seed),
            label,
            variant,
        )
        for seed in _seeds(config, seed)
        for encoders, connector, label, variant in searched(configurations, config.search)
    )


def search_text(config: SweepConfig) -> str | None:
    """What the search leaves out, for people; None where it leaves nothing out."""
    if isinstance(config.search, RoundRobinSearch):
        return "round_robin: those of these that the selection comes to, which is known when they are trained"
    if not isinstance(config.search, RandomSearch):
        return None
    whole = {(trial.encoders, trial.label) for trial in trials(config.model_copy(update={"search": GridSearch()}))}
    drawn = min(config.search.samples, len(whole))
    return f"random: {drawn} of {len(whole)} configurations, drawn with seed {config.search.seed}"


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


def _short_names(encoders: Iterable[str]) -> dict[str, str]:
    """Drop the publisher of each encoder where the rest alone still tells the encoders apart."""
    ids = list(dict.fromkeys(encoders))
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
