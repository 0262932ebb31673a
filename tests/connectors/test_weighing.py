"""Connectors that weigh encoders against each other, each against a plain formulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from connectors.contract import Connector, GridShape
from connectors.grids import resize_grid
from connectors.mixture_of_resolution import MixtureOfResolutionConnector
from connectors.routed_sum import RoutedSumConnector
from connectors.settings.mixture_of_resolution import MixtureOfResolutionSettings
from connectors.settings.routed_sum import RoutedSumSettings

GRIDS = (GridShape(8, 3), GridShape(4, 6), GridShape(5, 2), GridShape(4, 5))

shapes = st.lists(st.builds(GridShape, st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


def routed(grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = 16, width: int = 8) -> Connector:
    torch.manual_seed(0)
    return RoutedSumConnector(grids, llm, RoutedSumSettings(queries=queries, router_width=width))


def mixed(grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = 16) -> Connector:
    torch.manual_seed(0)
    return MixtureOfResolutionConnector(grids, llm, MixtureOfResolutionSettings(queries=queries))


def features(grids: Sequence[GridShape] = GRIDS, images: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images, grid.side**2, grid.width, generator=generator) for grid in grids]


def texts(seed: int = 2, llm: int = 7) -> Tensor:
    return torch.randn(2, llm, generator=torch.Generator().manual_seed(seed))


def mlp(weights: dict[str, Tensor], prefix: str, tokens: Tensor) -> Tensor:
    hidden = functional.gelu(tokens @ weights[f"{prefix}.0.weight"].T + weights[f"{prefix}.0.bias"])
    return hidden @ weights[f"{prefix}.2.weight"].T + weights[f"{prefix}.2.bias"]


def parameters(connector: Connector) -> int:
    return sum(parameter.numel() for parameter in connector.parameters())


@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 5), width=st.integers(1, 9))
def test_a_routed_sum_has_the_parameters_and_gives_the_tokens_it_states(
    grids: list[GridShape], llm: int, side: int, width: int
) -> None:
    connector, encoders = routed(grids, llm, side**2, width), len(grids)
    expected = sum((grid.width + 1) * llm + (llm + 1) * llm for grid in grids)
    expected += ((encoders + 1) * llm + 1) * width + (width + 1) * encoders
    assert parameters(connector) == expected
    assert connector(features(grids), text=texts(llm=llm)).tokens.shape == (2, side**2, llm)


@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 5))
def test_a_mixture_of_resolution_has_the_parameters_and_gives_the_tokens_it_states(
    grids: list[GridShape], llm: int, side: int
) -> None:
    connector = mixed(grids, llm, side**2)
    others = list(grids)
    d = others.pop(min(range(len(grids)), key=lambda place: grids[place].side)).width
    m = max(1, d // 2)
    expected = 2 * (d + 1) * d + (d + 1) * llm + (llm + 1) * llm
    expected += sum((9 * grid.width + 1) * d + (2 * d + 1) * m + (m + 1) * d for grid in others)
    assert parameters(connector) == expected
    assert connector(features(grids)).tokens.shape == (2, side**2, llm)


@pytest.mark.parametrize("build", [routed, mixed])
def test_a_gradient_reaches_every_parameter(build: Callable[[], Connector]) -> None:
    connector = build()
    connector(features(), text=texts()).tokens.square().sum().backward()
    assert [key for key, value in connector.named_parameters() if value.grad is None or not value.grad.any()] == []


def standardized(vectors: Tensor) -> Tensor:
    centred = vectors - vectors.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("text", [texts(), None], ids=["text", "no text"])
def test_a_routed_sum_equals_the_plain_formulation(text: Tensor | None) -> None:
    connector, grids = routed(), features()
    weights = connector.state_dict()
    tokens = [mlp(weights, f"project.mlps.{place}", resize_grid(grid, 4)) for place, grid in enumerate(grids)]
    asked = torch.zeros(2, 7) if text is None else text
    known = torch.cat([standardized(asked), *(standardized(token.mean(1)) for token in tokens)], -1)
    raised = mlp(weights, "router", known).exp()
    shares = raised / raised.sum(1, keepdim=True)
    expected = sum((shares[:, place, None, None] * token for place, token in enumerate(tokens)), torch.zeros(()))
    torch.testing.assert_close(connector(grids, text=text).tokens, expected)
    torch.testing.assert_close(connector.shares(grids, text), shares)


@settings(deadline=None, max_examples=20)
@given(grids=shapes, seed=st.integers(0, 1000))
def test_shares_of_a_routed_sum_sum_to_one(grids: list[GridShape], seed: int) -> None:
    shares = routed(grids).shares(features(grids), texts(seed))
    assert shares is not None
    assert shares.shape == (2, len(grids))
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


def test_shares_of_a_routed_sum_change_with_the_text_even_if_it_is_small() -> None:
    connector, grids = routed(), features()
    some, other = connector.shares(grids, 0.02 * texts(2)), connector.shares(grids, 0.02 * texts(3))
    assert some is not None
    assert other is not None
    assert (some - other).abs().max() > 0.01


def plain_mixture(weights: dict[str, Tensor], low: Tensor, others: Sequence[Tensor]) -> Tensor:
    low = mlp(weights, "low", low)
    result = low
    for place, high in enumerate(others):
        side, prefix = round(high.shape[1] ** 0.5), f"high.{place}"
        maps = high.transpose(1, 2).reshape(*high.shape[::2], side, side)
        conv = functional.conv2d(maps, weights[f"{prefix}.conv.weight"], weights[f"{prefix}.conv.bias"], padding=1)
        pooled = resize_grid(conv.flatten(2).transpose(1, 2), 4)
        gate = mlp(weights, f"{prefix}.gate", torch.cat([low.mean(1), pooled.mean(1)], -1)).tanh()
        result = result + gate[:, None] * pooled
    return mlp(weights, "output", result)


def test_a_mixture_of_resolution_equals_the_plain_formulation() -> None:
    connector, grids = mixed(), features()
    expected = plain_mixture(connector.state_dict(), grids[1], [grids[0], grids[2], grids[3]])
    torch.testing.assert_close(connector(grids).tokens, expected)


def test_a_mixture_of_one_encoder_has_no_gates() -> None:
    connector, grids = mixed(GRIDS[1:2]), features(GRIDS[1:2])
    torch.testing.assert_close(connector(grids).tokens, plain_mixture(connector.state_dict(), grids[0], []))


def test_a_mixture_of_resolution_has_no_shares() -> None:
    assert mixed().shares(features()) is None
