"""How an experiment names a connector: `type` chooses whose settings the other fields are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union, cast

from pydantic import BeforeValidator, Discriminator, Tag

from connectors.registry import CONNECTORS, family
from connectors.settings.base import ConnectorSettings
from opabinia.names import unknown

_EXAMPLES = tuple("mlp2x_gelu" if name == "mlpNx_gelu" else name for name in CONNECTORS)


def _check_type(value: object) -> object:
    if isinstance(value, Mapping):
        kind = cast("Mapping[str, Any]", value).get("type")
        if kind is None:
            raise ValueError(f"type: missing; choose one of {', '.join(_EXAMPLES)}")
        if family(str(kind)) is None:
            raise unknown("connector", str(kind), _EXAMPLES, place="type")
    return cast("object", value)


def _family(value: object) -> str | None:
    kind: object = getattr(value, "type", None)
    if isinstance(value, Mapping):
        kind = cast("Mapping[str, Any]", value).get("type")
    return family(str(kind))


if TYPE_CHECKING:
    ConnectorConfig = ConnectorSettings
else:
    ConnectorConfig = Annotated[
        Union[tuple(Annotated[kind.settings, Tag(name)] for name, kind in CONNECTORS.items())],  # noqa: UP007
        Discriminator(_family),
        BeforeValidator(_check_type),
    ]
