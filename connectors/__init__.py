"""Vision-language connectors: feature grids of any number of encoders in, visual tokens for a language model out.

A new connector is a file here and an entry in `CONNECTORS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.contract import Connector, GridShape, Visual, VisualContext
from connectors.mlp import MlpConnector
from connectors.sva import SvaConnector

Settings = Mapping[str, Any]
Builder = Callable[[Sequence[GridShape], int, Settings], Connector]


def _mlp(grids: Sequence[GridShape], llm_width: int, settings: Settings) -> Connector:
    depth = int(settings["type"].removeprefix("mlp").removesuffix("x_gelu"))
    return MlpConnector(grids, llm_width, depth=depth, queries=settings["queries"])


def _sva(grids: Sequence[GridShape], llm_width: int, settings: Settings) -> Connector:
    start, stride, count = (settings[f"in_llm_{part}"] for part in ("start", "stride", "count"))
    sizes = {name: settings[name] for name in ("queries", "width", "depth", "groups", "heads")}
    return SvaConnector(grids, llm_width, **sizes, inner_layers=tuple(start + stride * j for j in range(count)))


CONNECTORS: dict[str, Builder] = {"mlpNx_gelu": _mlp, "sva": _sva}
"""Name in an experiment file -> builder; N stands for the number of linear layers."""


def build_connector(settings: Settings, grids: Sequence[GridShape], llm_width: int) -> Connector:
    """Build the connector that `settings["type"]` names, for encoders with these grids and a language model of this width.

    Raises ValueError for a type that is not in `CONNECTORS`.
    """
    kind = str(settings["type"])
    name = "mlpNx_gelu" if kind.startswith("mlp") and kind.endswith("x_gelu") else kind
    if name not in CONNECTORS:
        raise ValueError(f"connector.type: unknown connector {kind!r}; known: {', '.join(CONNECTORS)}")
    return CONNECTORS[name](grids, llm_width, settings)


__all__ = ["CONNECTORS", "Connector", "GridShape", "Visual", "VisualContext", "build_connector"]
