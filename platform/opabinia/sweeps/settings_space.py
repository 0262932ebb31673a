"""Settings of connectors and stages that a search chooses, named by paths: connector.sva.depth, stages.align.lr."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from opabinia.models.connector_config import ConnectorConfig
from opabinia.names import unknown
from opabinia.sweeps.possible import reason_of
from opabinia.sweeps.searching.ranges import Domain, Range, Value, value_text
from opabinia.training.recipe.stages import WrittenStage

_STAGE_FIELDS: Final = (
    *("lr", "batch", "per_device_batch", "steps", "warmup", "warmup_steps", "schedule", "floor"),
    *("weight_decay", "eps", "max_grad_norm"),
)
"""Not base_batch, for rates are given at it, so that they follow the batch of each trial; nor what stages differ in by kind: variants
are for that."""


class SettingPath(NamedTuple):
    """owner: a connector's type or a stage's name."""

    kind: str
    owner: str
    field: str

    @classmethod
    def of(cls, path: str) -> SettingPath:
        kind, _, rest = path.partition(".")
        owner, _, field = rest.rpartition(".")
        return cls(kind, owner, field)

    @property
    def is_of_stage(self) -> bool:
        return self.kind == "stages"

    @property
    def short(self) -> str:
        """In names of trials, where the connector's type stands already."""
        return f"{self.owner}.{self.field}" if self.is_of_stage else self.field


def check_space(space: Mapping[str, Domain], connectors: Sequence[ConnectorConfig]) -> None:
    """Raises ValueError naming the setting that is none, or a value that it cannot have. Names of stages are left to `check_stages`."""
    for path, domain in space.items():
        place, at = f"space.{path}", SettingPath.of(path)
        if at.kind not in ("connector", "stages"):
            raise unknown("part", at.kind, ("connector", "stages"), place=place)
        _check_domain(domain, place)
        if at.is_of_stage:
            if at.field not in _STAGE_FIELDS:
                raise unknown("setting of a stage", at.field, _STAGE_FIELDS, place=place)
        else:
            _check_connector(at, domain, connectors, place)


def check_stages(space: Mapping[str, Domain], stages: Iterable[WrittenStage]) -> None:
    """stages: of all variants, or the experiment's own. Raises ValueError for a stage that is none, or a value that it cannot have."""
    every = list(stages)
    for path, domain in space.items():
        at, place = SettingPath.of(path), f"sweep.space.{path}"
        if not at.is_of_stage:
            continue
        named = [stage for stage in every if stage.name == at.owner]
        if not named:
            raise unknown("stage", at.owner, dict.fromkeys(stage.name for stage in every), place=place)
        for value in _examples(domain):
            try:
                with_stage_settings(named[:1], {path: value})
            except ValueError as error:
                raise ValueError(f"{place}: {value_text(value)}: {reason_of(error)}") from None


def with_connector_settings(connector: ConnectorConfig, settings: Mapping[str, Value]) -> ConnectorConfig:
    """The connector with those of the settings that are its own. Raises ValueError where they do not agree."""
    changes = {at.field: value for at, value in _by_path(settings) if not at.is_of_stage and at.owner == connector.type}
    return type(connector).model_validate(connector.model_dump() | changes) if changes else connector


def with_stage_settings(stages: Sequence[WrittenStage], settings: Mapping[str, Value]) -> tuple[WrittenStage, ...]:
    """The stages, each with those of the settings that are its own. Raises ValueError where they do not agree."""
    return tuple(
        _changed(
            stage, {at.field: value for at, value in _by_path(settings) if at.is_of_stage and at.owner == stage.name}
        )
        for stage in stages
    )


def _changed(stage: WrittenStage, changes: Mapping[str, Value]) -> WrittenStage:
    """Steps take the place of epochs."""
    lengths = {"epochs": None} if "steps" in changes else {}
    return WrittenStage.model_validate({**stage.model_dump(), **lengths, **changes}) if changes else stage


def _by_path(settings: Mapping[str, Value]) -> list[tuple[SettingPath, Value]]:
    return [(SettingPath.of(path), value) for path, value in settings.items()]


def _check_domain(domain: Domain, place: str) -> None:
    if isinstance(domain, Range):
        return
    if not domain:
        raise ValueError(f"{place}: no value; list at least one, or give low and high")
    names = [value_text(value) for value in domain]
    again = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if again is not None:
        raise ValueError(f"{place}: {again} is listed twice; list it once")


def _check_connector(at: SettingPath, domain: Domain, connectors: Sequence[ConnectorConfig], place: str) -> None:
    types: Collection[str] = dict.fromkeys(connector.type for connector in connectors)
    if at.owner not in types:
        raise unknown("connector of this sweep", at.owner, types, place=place)
    alike = [connector for connector in connectors if connector.type == at.owner]
    fields = [field for field in type(alike[0]).model_fields if field != "type"]
    if at.field not in fields:
        raise unknown(f"setting of {at.owner}", at.field, fields, place=place)
    if len({getattr(connector, at.field) for connector in alike}) > 1:
        raise ValueError(f"{place}: connectors differ in {at.field} already; list its values in one of the two places")
    for value in _examples(domain):
        try:
            type(alike[0]).model_validate({"type": at.owner, at.field: value})
        except ValidationError as error:
            # Whether it agrees with the other settings is known when they are chosen.
            if any(detail["loc"] for detail in error.errors()):
                raise ValueError(f"{place}: {value_text(value)}: {reason_of(error)}") from None


def _examples(domain: Domain) -> tuple[Value, ...]:
    return (domain.low, domain.high) if isinstance(domain, Range) else domain
