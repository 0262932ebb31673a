"""Connectors that join grids without weighing them, each against a plain formulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from connectors.additive import AdditiveConnector
from connectors.channel_concat import ChannelConcatConnector
from connectors.contract import Connector, GridShape
from connectors.grids import resize_grid
from connectors.interleave import InterleaveConnector
from connectors.interpolation import align_grid
from connectors.linear import LinearConnector
from connectors.sequence_append import SequenceAppendConnector
from connectors.settings.additive import AdditiveSettings
from connectors.settings.channel_concat import ChannelConcatSettings
from connectors.settings.interleave import InterleaveSettings
from connectors.settings.linear import LinearSettings
from connectors.settings.sequence_append import SequenceAppendSettings

Build = Callable[[Sequence[GridShape], int, int], Connector]

GRIDS = (GridShape(8, 3), GridShape(3, 5), GridShape(4, 2))
JOINING: dict[str, Build] = {
    "linear": lambda grids, llm, queries: LinearConnector(grids, llm, LinearSettings(queries=queries)),
    "channel_concat": lambda grids, llm, queries: ChannelConcatConnector(
        grids, llm, ChannelConcatSettings(queries=queries)
    ),
    "sequence_append": lambda grids, llm, queries: SequenceAppendConnector(
        grids, llm, SequenceAppendSettings(queries=queries)
    ),
    "interleave": lambda grids, llm, queries: InterleaveConnector(grids, llm, InterleaveSettings(queries=queries)),
    "additive": lambda grids, llm, queries: AdditiveConnector(grids, llm, AdditiveSettings(queries=queries)),
}
PER_ENCODER = ("sequence_append", "interleave", "additive")
LENGTHENING = ("sequence_append", "interleave")

shapes = st.lists(st.builds(GridShape, st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=4)


def features(grids: Sequence[GridShape] = GRIDS, images: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images, grid.side**2, grid.width, generator=generator) for grid in grids]


def mlp(weights: dict[str, Tensor], prefix: str, tokens: Tensor) -> Tensor:
    hidden = functional.gelu(tokens @ weights[f"{prefix}.0.weight"].T + weights[f"{prefix}.0.bias"])
    return hidden @ weights[f"{prefix}.2.weight"].T + weights[f"{prefix}.2.bias"]


def per_encoder(connector: Connector, grids: Sequence[Tensor]) -> list[Tensor]:
    weights = connector.state_dict()
    return [mlp(weights, f"project.mlps.{place}", resize_grid(grid, 4)) for place, grid in enumerate(grids)]


@pytest.mark.parametrize("name", JOINING)
@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 5))
def test_a_connector_has_the_parameters_and_gives_the_tokens_it_states(
    name: str, grids: list[GridShape], llm: int, side: int
) -> None:
    connector = JOINING[name](grids, llm, side**2)
    total, last = sum(grid.width for grid in grids), (llm + 1) * llm
    expected = {"linear": (total + 1) * llm, "channel_concat": (total + 1) * llm + last}
    each = sum((grid.width + 1) * llm + last for grid in grids)
    assert sum(parameter.numel() for parameter in connector.parameters()) == expected.get(name, each)
    assert connector.queries == side**2 * (len(grids) if name in LENGTHENING else 1)
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, connector.queries, llm)
    assert visual.context is None


@pytest.mark.parametrize("name", JOINING)
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    connector = JOINING[name](GRIDS, 7, 16)
    connector(features()).tokens.square().sum().backward()
    assert [key for key, value in connector.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", PER_ENCODER)
def test_a_grid_too_few_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="shorter"):
        JOINING[name](GRIDS, 7, 16)(features()[:2])


def test_linear_is_one_product_over_all_channels() -> None:
    connector, grids = JOINING["linear"](GRIDS, 7, 16), features()
    weights = connector.state_dict()
    joined = torch.cat([resize_grid(grid, 4) for grid in grids], -1)
    torch.testing.assert_close(connector(grids).tokens, joined @ weights["layer.weight"].T + weights["layer.bias"])


def aligned(grid: Tensor, side: int) -> Tensor:
    old = round(grid.shape[1] ** 0.5)
    maps = grid.transpose(1, 2).reshape(*grid.shape[::2], old, old)
    return functional.interpolate(maps, (side, side), mode="bilinear", align_corners=True).flatten(2).transpose(1, 2)


def test_channel_concat_aligns_corners_before_it_concatenates() -> None:
    connector, grids = JOINING["channel_concat"](GRIDS, 7, 16), features()
    joined = torch.cat([aligned(grid, 4) for grid in grids], -1)
    torch.testing.assert_close(connector(grids).tokens, mlp(connector.state_dict(), "layers", joined))


@settings(deadline=None)
@given(old=st.integers(2, 9), new=st.integers(2, 9))
def test_interpolation_keeps_the_corners(old: int, new: int) -> None:
    grid = torch.arange(float(old * old)).view(1, -1, 1)
    before, after = grid.view(old, old), align_grid(grid, new).view(new, new)
    torch.testing.assert_close(after[:: new - 1, :: new - 1], before[:: old - 1, :: old - 1])


def test_interpolation_computes_in_single_precision() -> None:
    grid = features()[0].bfloat16()
    resized = align_grid(grid, 5)
    assert resized.dtype == torch.bfloat16
    assert torch.equal(resized, aligned(grid.float(), 5).bfloat16())


def test_interpolation_keeps_a_grid_that_has_the_side() -> None:
    grid = features()[0]
    assert align_grid(grid, 8) is grid


def test_sequence_append_puts_one_encoder_after_another() -> None:
    connector, grids = JOINING["sequence_append"](GRIDS, 7, 16), features()
    torch.testing.assert_close(connector(grids).tokens, torch.cat(per_encoder(connector, grids), 1))


def test_interleave_alternates_the_encoders_cell_by_cell() -> None:
    appended, interleaved = JOINING["sequence_append"](GRIDS, 7, 16), JOINING["interleave"](GRIDS, 7, 16)
    interleaved.load_state_dict(appended.state_dict())
    grids = features()
    order = [encoder * 16 + cell for cell in range(16) for encoder in range(len(GRIDS))]
    assert torch.equal(interleaved(grids).tokens, appended(grids).tokens[:, order])


def test_additive_is_the_sum_of_the_encoders() -> None:
    connector, grids = JOINING["additive"](GRIDS, 7, 16), features()
    torch.testing.assert_close(connector(grids).tokens, torch.stack(per_encoder(connector, grids)).sum(0))
