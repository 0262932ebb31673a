"""Convolutional connectors against plain formulations, pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.c_abstractor import CAbstractorConnector
from connectors.contract import Connector, GridShape
from connectors.ldpv2 import Ldpv2Connector
from connectors.settings.c_abstractor import CAbstractorSettings
from connectors.settings.ldpv2 import Ldpv2Settings
from tests.connectors.plain import (
    Array,
    array,
    features,
    gelu_mlp,
    linear,
    norm,
    parameters,
    pooled,
    randomized,
    repeated,
    sigmoid,
    silu,
    unreached,
    weights_of,
)

GRIDS = (GridShape(1, 3), GridShape(6, 5))
"""The second is the finer one; the first has one token, so that resizing it is to repeat it."""

shapes = st.lists(st.builds(GridShape, st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4)


def abstractor(
    grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = 9, width: int = 8, depth: int = 2
) -> Connector:
    torch.manual_seed(0)
    return CAbstractorConnector(grids, llm, CAbstractorSettings(queries=queries, width=width, depth=depth))


def ldp(grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = 9) -> Connector:
    torch.manual_seed(0)
    return Ldpv2Connector(grids, llm, Ldpv2Settings(queries=queries))


BOTH = pytest.mark.parametrize("build", [abstractor, ldp])


def depthwise(kernels: Array, tokens: Array) -> Array:
    """Every channel by itself over the 3 x 3 neighbours that exist. `kernels: [width, 1, 3, 3]`, `tokens: [cells, width]`"""
    side = math.isqrt(len(tokens))
    grid, result = tokens.reshape(side, side, -1), np.zeros((side, side, tokens.shape[1]))
    for row in range(side):
        for column in range(side):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    if 0 <= row + down < side and 0 <= column + right < side:
                        result[row, column] += kernels[:, 0, 1 + down, 1 + right] * grid[row + down, column + right]
    return result.reshape(len(tokens), -1)


def pointwise(weights: dict[str, Array], name: str, tokens: Array) -> Array:
    return tokens @ weights[f"{name}.weight"][:, :, 0, 0].T


def plain_block(weights: dict[str, Array], name: str, tokens: Array) -> Array:
    body = f"{name}.body"
    hidden = silu(norm(weights, f"{body}.1", pointwise(weights, f"{body}.0", tokens)))
    hidden = silu(norm(weights, f"{body}.4", depthwise(weights[f"{body}.3.weight"], hidden)))
    gate = silu(linear(weights, f"{body}.6.gate.0", hidden.mean(0)))
    hidden = hidden * sigmoid(linear(weights, f"{body}.6.gate.2", gate))
    hidden = norm(weights, f"{body}.8", pointwise(weights, f"{body}.7", hidden))
    if f"{name}.shortcut.0.weight" in weights:
        tokens = norm(weights, f"{name}.shortcut.1", pointwise(weights, f"{name}.shortcut.0", tokens))
    return silu(hidden + tokens)


@pytest.mark.parametrize("width", [8, 7], ids=["first block as wide as the grids", "narrower"])
def test_the_abstractor_equals_the_plain_formulation(width: int) -> None:
    connector, grids = randomized(abstractor(width=width)), features(GRIDS)
    weights, tokens = weights_of(connector), connector(grids).tokens
    for image in range(2):
        coarse, fine = (array(grid[image]) + weights[f"positions.{place}"] for place, grid in enumerate(grids))
        hidden = np.concatenate([repeated(coarse, 6), fine], axis=-1)
        for block in ("blocks.0", "blocks.1"):
            hidden = plain_block(weights, block, hidden)
        hidden = pooled(hidden, 3)
        for block in ("blocks.3", "blocks.4"):
            hidden = plain_block(weights, block, hidden)
        expected = linear(weights, "output.2", silu(linear(weights, "output.0", hidden)))
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-4)


def test_ldpv2_equals_the_plain_formulation() -> None:
    connector, grids = randomized(ldp()), features(GRIDS)
    weights, tokens = weights_of(connector), connector(grids).tokens
    for image in range(2):
        coarse, fine = (array(grid[image]) for grid in grids)
        hidden = pooled(gelu_mlp(weights, "layers", np.concatenate([repeated(coarse, 6), fine], axis=-1)), 3)
        expected = hidden + depthwise(weights["place.weight"], hidden) + weights["place.bias"]
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 4), width=st.integers(1, 12), depth=st.integers(1, 3))
def test_an_abstractor_has_the_parameters_and_gives_the_tokens_it_states(
    grids: list[GridShape], llm: int, side: int, width: int, depth: int
) -> None:
    connector, h = abstractor(grids, llm, side**2, width, depth), width

    def block(a: int) -> int:
        r = max(1, round(a / 4))
        shortcut = (a + 2) * h if a != h else 0
        return a * h + h**2 + 15 * h + (h + 1) * r + (r + 1) * h + shortcut

    expected = sum(grid.side**2 * grid.width for grid in grids) + block(sum(grid.width for grid in grids))
    expected += (2 * depth - 1) * block(h) + (h + 1) * llm + (llm + 1) * llm
    assert parameters(connector) == expected
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, side**2, llm)
    assert visual.context is None


@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 4))
def test_ldpv2_has_the_parameters_and_gives_the_tokens_it_states(grids: list[GridShape], llm: int, side: int) -> None:
    connector = ldp(grids, llm, side**2)
    expected = (sum(grid.width for grid in grids) + 1) * llm + (llm + 1) * llm + 10 * llm
    assert parameters(connector) == expected
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, side**2, llm)
    assert visual.context is None


@settings(deadline=None, max_examples=20)
@given(place=st.integers(0, 35))
def test_a_token_of_ldpv2_sees_the_cells_next_to_its_own_and_no_others(place: int) -> None:
    """Queries are 3 x 3 over 6 x 6: a cell under one of them moves its token and the neighbours' tokens."""
    connector, grids = randomized(ldp()), features(GRIDS, images=1)
    before = connector(grids).tokens[0]
    grids[1][0, place] += 1.0
    moved = (connector(grids).tokens[0] - before).abs().sum(-1) > 1e-6
    row, column = place // 12, place % 6 // 2
    near = [max(abs(row - cell // 3), abs(column - cell % 3)) <= 1 for cell in range(9)]
    assert moved.tolist() == near


@BOTH
def test_more_queries_than_the_finest_grid_has_are_given(build: Callable[..., Connector]) -> None:
    grids = (GridShape(2, 3), GridShape(3, 5))
    tokens = build(grids, queries=25)(features(grids)).tokens
    assert tokens.shape == (2, 25, 7)
    assert tokens.isfinite().all()


@BOTH
def test_a_gradient_reaches_every_parameter(build: Callable[..., Connector]) -> None:
    assert unreached(build(), features(GRIDS)) == []


@BOTH
def test_it_works_in_bfloat16(build: Callable[..., Connector]) -> None:
    grids = features(GRIDS)
    exact = build()(grids).tokens
    half = build().bfloat16()([grid.bfloat16() for grid in grids]).tokens
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.1, rtol=0.1)


@BOTH
def test_before_training_tokens_differ_from_picture_to_picture(build: Callable[..., Connector]) -> None:
    tokens = build(llm=32)(features(GRIDS, images=32)).tokens
    assert tokens.var(0).mean() > 0.1 * tokens.square().mean()


def test_an_abstractor_has_no_shares() -> None:
    assert abstractor().shares(features(GRIDS)) is None


def test_a_grid_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        abstractor()(features(GRIDS)[:1])
