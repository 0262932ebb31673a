"""Which trials a sweep runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from pydantic import Field, model_validator

from opabinia.config import Config
from opabinia.models.connector_config import ConnectorConfig

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
    """Every encoder set with every connector and every seed is one trial."""

    encoder_sets: tuple[EncoderSet, ...] | Literal["all_subsets"] = "all_subsets"
    """The encoder sets to compare, or all_subsets for every non-empty subset of pool."""

    pool: tuple[str, ...] = ()
    """The encoders that all_subsets draws from."""

    connectors: tuple[ConnectorConfig, ...] = Field(min_length=1)
    """The connectors to compare."""

    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Each trial is run once for each seed."""

    max_concurrent: int = Field(default=2, gt=0)
    """Trials that run at the same time."""

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


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """One trial: what it trains, and the readable name it has everywhere."""

    encoders: EncoderSet
    connector: ConnectorConfig
    seed: int
    name: str
    label: str
    """The connector's type, and what distinguishes it where a sweep holds several of that type."""


def trials(config: SweepConfig) -> tuple[TrialSpec, ...]:
    """List the trials of a sweep, each once, in the order connector within encoder set within seed.

    Encoder sets are sets: the same encoders in another order are the same set, and the first order given is kept.
    """
    sets = _encoder_sets(config)
    short = _short_names(encoder for encoders in sets for encoder in encoders)
    connectors = list(dict.fromkeys(config.connectors))
    labels = _connector_labels(connectors)
    return tuple(
        TrialSpec(encoders, connector, seed, f"{'+'.join(short[e] for e in encoders)}.{label}.s{seed}", label)
        for seed in dict.fromkeys(config.seeds)
        for encoders in sets
        for connector, label in zip(connectors, labels, strict=True)
    )


def _encoder_sets(config: SweepConfig) -> list[EncoderSet]:
    if config.encoder_sets == "all_subsets":
        pool = tuple(dict.fromkeys(config.pool))
        return [subset for size in range(1, len(pool) + 1) for subset in combinations(pool, size)]
    unique: dict[frozenset[str], EncoderSet] = {}
    for encoders in config.encoder_sets:
        unique.setdefault(frozenset(encoders), tuple(dict.fromkeys(encoders)))
    return list(unique.values())


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
