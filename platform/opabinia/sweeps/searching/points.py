"""The configurations of a sweep as points of a space: encoder set, connector, variant, and the settings that exist with those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from opabinia.models.connector_config import ConnectorConfig
from opabinia.sweeps.searching.config import EncoderSet
from opabinia.sweeps.searching.ranges import Answer, Domain, Range, Value, rounded, value_text
from opabinia.sweeps.settings_space import SettingPath

ENCODERS, CONNECTOR, VARIANT = "encoders", "connector", "variant"

Point = Mapping[str, Value]
"""Of what a configuration is made: ENCODERS, CONNECTOR and VARIANT by name, and settings by path."""


@dataclass(frozen=True, slots=True)
class Axes:
    """What a sweep's configurations differ in. variants: name -> the names of its stages, which are None where they are the
    experiment's own; None is the name where there are no variants.
    """

    encoder_sets: Mapping[str, EncoderSet]
    connectors: Mapping[str, ConnectorConfig]
    variants: Mapping[str | None, frozenset[str] | None]
    space: Mapping[str, Domain]

    @property
    def has_ranges(self) -> bool:
        """Whether there is no end of configurations."""
        return any(isinstance(domain, Range) for domain in self.space.values())


@dataclass(frozen=True, slots=True)
class Configuration:
    """A point, put together but for its settings; label: the connector's, the variant's name and the settings."""

    encoders: EncoderSet
    connector: ConnectorConfig
    label: str
    variant: str | None
    settings: Mapping[str, Value]


def draw(axes: Axes, answer: Answer) -> Point:
    """A point whose every value `answer` chose; it is not asked about settings that this connector and variant have not."""
    point: dict[str, Value] = {
        ENCODERS: answer(ENCODERS, tuple(axes.encoder_sets)),
        CONNECTOR: answer(CONNECTOR, tuple(axes.connectors)),
    }
    if None not in axes.variants:
        point[VARIANT] = answer(VARIANT, tuple(axes.variants))
    for path, domain in _existing(axes, point).items():
        point[path] = rounded(answer(path, domain), domain)
    return point


def every_point(axes: Axes) -> list[Point]:
    """All of them, settings within variant within connector within encoder set; there must be no range."""
    names = [{ENCODERS: encoders, CONNECTOR: label, **({} if variant is None else {VARIANT: variant})}
             for encoders in axes.encoder_sets for label in axes.connectors for variant in axes.variants]  # fmt: skip
    return [
        {**point, **dict(zip(existing, values, strict=True))}
        for point in names
        for existing in [_existing(axes, point)]
        for values in product(*(tuple(domain) for domain in existing.values() if not isinstance(domain, Range)))
    ]


def configuration_at(axes: Axes, point: Point) -> Configuration:
    """Raises LookupError where the axes do not have that point."""
    label, variant = str(point[CONNECTOR]), point.get(VARIANT)
    settings = {path: value for path, value in point.items() if path not in (ENCODERS, CONNECTOR, VARIANT)}
    parts = [label, *([] if variant is None else [str(variant)])]
    parts += [f"{SettingPath.of(path).short}={value_text(value)}" for path, value in settings.items()]
    return Configuration(
        axes.encoder_sets[str(point[ENCODERS])],
        axes.connectors[label],
        ",".join(parts),
        None if variant is None else str(variant),
        settings,
    )


def _existing(axes: Axes, point: Point) -> dict[str, Domain]:
    """The settings of the space that the connector and the stages named in the point have."""
    kind, variant = axes.connectors[str(point[CONNECTOR])].type, point.get(VARIANT)
    stages = axes.variants[None if variant is None else str(variant)]
    return {
        path: domain
        for path, domain in axes.space.items()
        if (at := SettingPath.of(path)).owner == kind or (at.is_of_stage and (stages is None or at.owner in stages))
    }
