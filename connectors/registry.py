"""Which connectors there are. A registry of data: names, settings, and where the code is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from connectors.settings.additive import AdditiveSettings
from connectors.settings.base import ConnectorSettings
from connectors.settings.c_abstractor import CAbstractorSettings
from connectors.settings.channel_concat import ChannelConcatSettings
from connectors.settings.deformable_cross_attention import DeformableCrossAttentionSettings
from connectors.settings.interleave import InterleaveSettings
from connectors.settings.ldpv2 import Ldpv2Settings
from connectors.settings.linear import LinearSettings
from connectors.settings.mixture_of_resolution import MixtureOfResolutionSettings
from connectors.settings.mlp import MLP_PATTERN, MlpSettings
from connectors.settings.resampler import ResamplerSettings
from connectors.settings.routed_sum import RoutedSumSettings
from connectors.settings.sequence_append import SequenceAppendSettings
from connectors.settings.sva import SvaSettings
from connectors.settings.window_cross_attention import WindowCrossAttentionSettings

if TYPE_CHECKING:
    from connectors.contract import Connector, GridShape


@dataclass(frozen=True, slots=True)
class ConnectorKind:
    """The settings of a connector, and "module:class" of its code, which is called with (grids, llm_width, settings)."""

    settings: type[ConnectorSettings]
    implementation: str


CONNECTORS: dict[str, ConnectorKind] = {
    "linear": ConnectorKind(LinearSettings, "connectors.linear:LinearConnector"),
    "mlpNx_gelu": ConnectorKind(MlpSettings, "connectors.mlp:MlpConnector"),
    "channel_concat": ConnectorKind(ChannelConcatSettings, "connectors.channel_concat:ChannelConcatConnector"),
    "sequence_append": ConnectorKind(SequenceAppendSettings, "connectors.sequence_append:SequenceAppendConnector"),
    "interleave": ConnectorKind(InterleaveSettings, "connectors.interleave:InterleaveConnector"),
    "additive": ConnectorKind(AdditiveSettings, "connectors.additive:AdditiveConnector"),
    "routed_sum": ConnectorKind(RoutedSumSettings, "connectors.routed_sum:RoutedSumConnector"),
    "mixture_of_resolution": ConnectorKind(
        MixtureOfResolutionSettings, "connectors.mixture_of_resolution:MixtureOfResolutionConnector"
    ),
    "resampler": ConnectorKind(ResamplerSettings, "connectors.resampler:ResamplerConnector"),
    "c_abstractor": ConnectorKind(CAbstractorSettings, "connectors.c_abstractor:CAbstractorConnector"),
    "ldpv2": ConnectorKind(Ldpv2Settings, "connectors.ldpv2:Ldpv2Connector"),
    "window_cross_attention": ConnectorKind(
        WindowCrossAttentionSettings, "connectors.window_cross_attention:WindowCrossAttentionConnector"
    ),
    "deformable_cross_attention": ConnectorKind(
        DeformableCrossAttentionSettings, "connectors.deformable_cross_attention:DeformableCrossAttentionConnector"
    ),
    "sva": ConnectorKind(SvaSettings, "connectors.sva:SvaConnector"),
}
"""Name in an experiment file -> what it stands for; N is the number of linear layers."""


def family(name: str) -> str | None:
    """The key of `CONNECTORS` that a connector's name belongs to; None for an unknown name."""
    key = "mlpNx_gelu" if re.match(MLP_PATTERN, name) else name
    return key if key in CONNECTORS and name != "mlpNx_gelu" else None


def build_connector(settings: ConnectorSettings, grids: Sequence[GridShape], llm_width: int) -> Connector:
    """Build a connector for encoders with these grids and a language model of this width.

    Raises ValueError for a type that is not in `CONNECTORS`, and where the connector cannot join such grids.
    """
    key = family(settings.type)
    if key is None:
        raise ValueError(f"connector.type: unknown connector {settings.type!r}; known: {', '.join(CONNECTORS)}")
    module, _, name = CONNECTORS[key].implementation.partition(":")
    implementation: Any = getattr(import_module(module), name)
    return implementation(grids, llm_width, settings)
