"""Tokens of the smallest grid that attend to other grids, against plain formulations: one query at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import Connector, GridShape
from connectors.deformable_cross_attention import DeformableCrossAttentionConnector, sample
from connectors.settings.deformable_cross_attention import DeformableCrossAttentionSettings
from connectors.settings.window_cross_attention import WindowCrossAttentionSettings
from connectors.window_cross_attention import WindowCrossAttentionConnector
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
    softmax,
    unreached,
    weights_of,
)

GRIDS = (GridShape(9, 3), GridShape(3, 6), GridShape(6, 4))
"""The second is the smallest; the others have 3 x 3 and 2 x 2 tokens for each of its own."""
LOW, QUERIES = 1, 9

shapes = st.lists(st.builds(GridShape, st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4)


def windowed(grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = QUERIES) -> Connector:
    torch.manual_seed(0)
    return WindowCrossAttentionConnector(grids, llm, WindowCrossAttentionSettings(queries=queries))


def deformable(
    grids: Sequence[GridShape] = GRIDS,
    llm: int = 7,
    queries: int = QUERIES,
    width: int = 8,
    heads: int = 2,
    points: int = 3,
) -> Connector:
    torch.manual_seed(0)
    chosen = DeformableCrossAttentionSettings(queries=queries, width=width, heads=heads, points=points)
    return DeformableCrossAttentionConnector(grids, llm, chosen)


BOTH = pytest.mark.parametrize("build", [windowed, deformable])


def window(tokens: Array, cell: int, side: int) -> Array:
    """The tokens of a grid that lie under one cell of a `side * side` grid."""
    full = math.isqrt(len(tokens))
    span = full // side
    rows, columns = range(cell // side * span, (cell // side + 1) * span), cell % side * span
    return np.concatenate([tokens[row * full + columns : row * full + columns + span] for row in rows])


def plain_windows(connector: Connector, grids: Sequence[Array], asked: Sequence[int], low: int) -> tuple[Array, Array]:
    """Tokens, and attention on each of the asked grids, for one image."""
    weights = weights_of(connector)
    query = pooled(grids[low], 3)
    mined, met = np.empty_like(query), np.zeros((len(query), len(asked)))
    for cell, token in enumerate(query):
        wanted = linear(weights, "to_query.1", norm(weights, "to_query.0", token))
        scores: list[float] = []
        values: list[Array] = []
        owner: list[int] = []
        for place, index in enumerate(asked):
            for seen in window(grids[index], cell, 3):
                key = linear(weights, f"to_key.{place}.1", norm(weights, f"to_key.{place}.0", seen))
                scores.append(float(wanted @ key) / math.sqrt(len(token)))
                values.append(linear(weights, f"to_value.{place}.1", norm(weights, f"to_value.{place}.0", seen)))
                owner.append(place)
        attention = softmax(np.array(scores))
        mined[cell] = attention @ np.stack(values)
        np.add.at(met[cell], owner, attention)
    return gelu_mlp(weights, "output", query + mined), met.mean(0)


def test_windows_equal_the_plain_formulation() -> None:
    connector, grids = randomized(windowed()), features(GRIDS)
    tokens, shares = connector(grids).tokens, connector.shares(grids)
    assert shares is not None
    for image in range(2):
        expected, met = plain_windows(connector, [array(grid[image]) for grid in grids], asked=(0, 2), low=LOW)
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-5)
        np.testing.assert_allclose(array(shares[image]), [met[0], 0.0, met[1]], atol=1e-6)


def test_an_encoder_alone_attends_to_its_own_windows() -> None:
    connector, grids = randomized(windowed(GRIDS[:1])), features(GRIDS[:1])
    tokens, shares = connector(grids).tokens, connector.shares(grids)
    for image in range(2):
        expected, _ = plain_windows(connector, [array(grids[0][image])], asked=(0,), low=0)
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-5)
    assert shares is not None
    torch.testing.assert_close(shares, torch.ones(2, 1))


@settings(deadline=None, max_examples=30)
@given(encoder=st.integers(0, 2), data=st.data())
def test_a_windowed_token_depends_on_its_own_window_only(encoder: int, data: st.DataObject) -> None:
    side = GRIDS[encoder].side
    row, column = data.draw(st.integers(0, side - 1)), data.draw(st.integers(0, side - 1))
    connector, grids = randomized(windowed()), features(GRIDS, images=1)
    before = connector(grids).tokens[0]
    grids[encoder][0, row * side + column] += torch.linspace(-1, 1, GRIDS[encoder].width)
    moved = (connector(grids).tokens[0] - before).abs().sum(-1) > 1e-6
    assert moved.nonzero().flatten().tolist() == [row * 3 // side * 3 + column * 3 // side]


def plain_sample(grid: Array, x: float, y: float) -> Array:
    """Bilinear at a place in a picture 1 wide and 1 high, between the centres of the four cells around it; 0 outside."""
    side = math.isqrt(len(grid))
    across, down = x * side - 0.5, y * side - 0.5
    found = np.zeros(grid.shape[1])
    for row in (math.floor(down), math.floor(down) + 1):
        for column in (math.floor(across), math.floor(across) + 1):
            if 0 <= row < side and 0 <= column < side:
                near = (1 - abs(down - row)) * (1 - abs(across - column))
                found += near * grid[row * side + column]
    return found


def plain_deformable(connector: Connector, grids: Sequence[Array], heads: int, points: int) -> tuple[Array, Array]:
    """Tokens, and attention on each grid, for one image (Zhu et al. 2021, eq. 3)."""
    weights = weights_of(connector)
    projected = [
        norm(weights, f"project.{place}.1", linear(weights, f"project.{place}.0", grid))
        for place, grid in enumerate(grids)
    ]
    values = [linear(weights, "to_value", grid) for grid in projected]
    query = pooled(projected[LOW], 3)
    size = query.shape[1] // heads
    found, met = np.zeros_like(query), np.zeros(len(grids))
    for cell, token in enumerate(query):
        offsets = linear(weights, "to_offset", token).reshape(heads, len(grids), points, 2)
        scores = linear(weights, "to_weight", token).reshape(heads, -1)
        for head in range(heads):
            part, attention = slice(head * size, (head + 1) * size), softmax(scores[head]).reshape(-1, points)
            met += attention.sum(1)
            for place, value in enumerate(values):
                side = math.isqrt(len(value))
                for point in range(points):
                    x = (cell % 3 + 0.5) / 3 + offsets[head, place, point, 0] / side
                    y = (cell // 3 + 0.5) / 3 + offsets[head, place, point, 1] / side
                    found[cell, part] += attention[place, point] * plain_sample(value[:, part], x, y)
    return gelu_mlp(weights, "output", query + linear(weights, "attended", found)), met / met.sum()


def test_deformable_attention_equals_the_plain_formulation() -> None:
    connector, grids = randomized(deformable()), features(GRIDS)
    tokens, shares = connector(grids).tokens, connector.shares(grids)
    assert shares is not None
    for image in range(2):
        expected, met = plain_deformable(connector, [array(grid[image]) for grid in grids], heads=2, points=3)
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-4)
        np.testing.assert_allclose(array(shares[image]), met, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(side=st.integers(1, 6), seed=st.integers(0, 1000), reach=st.sampled_from([0.0, 0.5, 2.0, 10.0]))
def test_sampling_is_bilinear_and_finds_nothing_outside(side: int, seed: int, reach: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(1, side**2, 4, generator=generator)
    offsets = reach * torch.randn(1, 4, 2, 3, 2, generator=generator)
    weights = torch.rand(1, 4, 2, 3, generator=generator)
    found = array(sample(values, offsets, weights)[0])
    for cell in range(4):
        for head in range(2):
            total = np.zeros(2)
            for point in range(3):
                x, y = array(offsets[0, cell, head, point]) / side
                near = plain_sample(
                    array(values[0])[:, 2 * head : 2 * head + 2], (cell % 2 + 0.5) / 2 + x, (cell // 2 + 0.5) / 2 + y
                )
                total += weights[0, cell, head, point].item() * near
            np.testing.assert_allclose(found[cell, 2 * head : 2 * head + 2], total, atol=1e-4)


def test_deformable_attention_starts_as_a_star_over_all_encoders_alike() -> None:
    connector, grids = deformable(width=8, heads=4, points=2), features(GRIDS)
    shares = connector.shares(grids)
    assert shares is not None
    torch.testing.assert_close(shares, torch.full((2, 3), 1 / 3))
    bias = connector.get_parameter("to_offset.bias").view(4, 3, 2, 2)
    rays = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    for encoder in range(3):
        for point in range(2):
            torch.testing.assert_close(bias[:, encoder, point], (point + 1) * rays, atol=1e-6, rtol=0)


@settings(deadline=None, max_examples=20)
@given(grids=shapes, llm=st.integers(1, 12), side=st.integers(1, 4))
def test_windows_have_the_parameters_and_give_the_tokens_they_state(
    grids: list[GridShape], llm: int, side: int
) -> None:
    connector, others = windowed(grids, llm, side**2), list(grids)
    d = others.pop(min(range(len(grids)), key=lambda place: grids[place].side)).width
    expected = 2 * d + (d + 1) * d + (d + 1) * llm + (llm + 1) * llm
    expected += sum(4 * grid.width + 2 * (grid.width + 1) * d for grid in others or grids)
    assert parameters(connector) == expected
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, side**2, llm)
    assert visual.context is None


@settings(deadline=None, max_examples=20)
@given(
    grids=shapes,
    llm=st.integers(1, 12),
    side=st.integers(1, 4),
    heads=st.integers(1, 4),
    each=st.integers(1, 3),
    points=st.integers(1, 4),
)
def test_deformable_attention_has_the_parameters_and_gives_the_tokens_it_states(
    grids: list[GridShape], llm: int, side: int, heads: int, each: int, points: int
) -> None:
    h, places = heads * each, heads * len(grids) * points
    connector = deformable(grids, llm, side**2, h, heads, points)
    expected = sum((grid.width + 3) * h for grid in grids) + 2 * (h + 1) * h + 3 * (h + 1) * places
    expected += (h + 1) * llm + (llm + 1) * llm
    assert parameters(connector) == expected
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, side**2, llm)
    assert visual.context is None


@BOTH
@settings(deadline=None, max_examples=20)
@given(grids=shapes)
def test_shares_sum_to_one(build: Callable[..., Connector], grids: list[GridShape]) -> None:
    shares = randomized(build(grids)).shares(features(grids))
    assert shares is not None
    assert shares.shape == (2, len(grids))
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


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
    shares = build().bfloat16().shares([grid.bfloat16() for grid in grids])
    assert shares is not None
    torch.testing.assert_close(shares.sum(1), torch.ones(2), atol=0.01, rtol=0)


@BOTH
def test_before_training_tokens_differ_from_picture_to_picture(build: Callable[..., Connector]) -> None:
    tokens = build(llm=32)(features(GRIDS, images=32)).tokens
    assert tokens.var(0).mean() > 0.3 * tokens.square().mean()


@pytest.mark.parametrize(
    ("build", "said"), [(windowed, "grids: 2 given; give one for each of the 3"), (deformable, "shorter")]
)
def test_a_grid_too_few_is_refused(build: Callable[..., Connector], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()(features(GRIDS)[:2])


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="heads: 3 does not divide width 8"):
        DeformableCrossAttentionSettings(width=8, heads=3)
