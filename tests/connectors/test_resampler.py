"""The resampler against a plain formulation: one query and one head at a time over every token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import Connector, GridShape
from connectors.resampler import ResamplerConnector, place_codes
from connectors.settings.resampler import ResamplerSettings
from tests.connectors.plain import (
    Array,
    array,
    features,
    gelu,
    linear,
    norm,
    parameters,
    randomized,
    softmax,
    unreached,
    weights_of,
)

GRIDS = (GridShape(5, 3), GridShape(2, 6), GridShape(3, 4))

shapes = st.lists(st.builds(GridShape, st.integers(1, 7), st.integers(1, 9)), min_size=1, max_size=4)


def build(
    grids: Sequence[GridShape] = GRIDS, llm: int = 7, queries: int = 4, width: int = 8, depth: int = 2, heads: int = 2
) -> Connector:
    torch.manual_seed(0)
    return ResamplerConnector(grids, llm, ResamplerSettings(queries=queries, width=width, depth=depth, heads=heads))


def plain_code(row: int, column: int, side: int, width: int) -> list[float]:
    """Sines and cosines of 1 to 64 half waves, in equal ratios, at a cell's centre."""
    count = width // 4
    waves = [64 ** (place / (count - 1)) if count > 1 else 1.0 for place in range(count)]
    code: list[float] = []
    for cell in (row, column):
        angles = [math.pi * (cell + 0.5) / side * wave for wave in waves]
        code += [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
    return code


def plain_attention(
    weights: dict[str, Array], block: str, latents: Array, tokens: Array, codes: Array, heads: int
) -> tuple[Array, Array]:
    """What every query finds, [queries, width], and the attention of every head, [queries, heads, keys]."""
    asking, seen = norm(weights, f"{block}.norm_latents", latents), norm(weights, f"{block}.norm_tokens", tokens)
    query = linear(weights, f"{block}.to_query", asking)
    key = linear(weights, f"{block}.to_key", np.concatenate([seen + codes, asking]))
    value = linear(weights, f"{block}.to_value", np.concatenate([seen, asking]))
    size = latents.shape[1] // heads
    found, attention = np.empty_like(latents), np.empty((len(latents), heads, len(key)))
    for place in range(len(latents)):
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = np.array([query[place, part] @ one[part] / math.sqrt(size) for one in key])
            attention[place, head] = softmax(scores)
            found[place, part] = attention[place, head] @ value[:, part]
    return found, attention


def plain(connector: Connector, grids: Sequence[Array], depth: int, heads: int, width: int = 8) -> tuple[Array, Array]:
    """Tokens and shares for one image."""
    weights = weights_of(connector)
    tokens = np.concatenate([linear(weights, f"project.{place}", grid) for place, grid in enumerate(grids)])
    sides = [math.isqrt(len(grid)) for grid in grids]
    codes = [plain_code(row, column, side, width) for side in sides for row in range(side) for column in range(side)]
    latents, met = weights["latents"], np.zeros(len(grids))
    edges = np.cumsum([0, *(len(grid) for grid in grids)])
    for layer in range(depth):
        block = f"blocks.{layer}"
        found, attention = plain_attention(weights, block, latents, tokens, np.array(codes), heads)
        met += [attention[:, :, start:end].sum() for start, end in pairwise(edges)]
        latents = latents + linear(weights, f"{block}.attended", found)
        hidden = norm(weights, f"{block}.feedforward.0", latents)
        hidden = gelu(linear(weights, f"{block}.feedforward.1", hidden))
        latents = latents + linear(weights, f"{block}.feedforward.3", hidden)
    return linear(weights, "output.1", norm(weights, "output.0", latents)), met / met.sum()


@pytest.mark.parametrize("grids", [GRIDS, GRIDS[:1]], ids=["three encoders", "one encoder"])
@pytest.mark.parametrize(("depth", "heads"), [(1, 1), (2, 4)])
def test_tokens_and_shares_equal_the_plain_formulation(grids: Sequence[GridShape], depth: int, heads: int) -> None:
    connector, given_grids = randomized(build(grids, depth=depth, heads=heads)), features(grids)
    tokens, shares = connector(given_grids).tokens, connector.shares(given_grids)
    assert shares is not None
    for image in range(2):
        expected, share = plain(connector, [array(grid[image]) for grid in given_grids], depth, heads)
        np.testing.assert_allclose(array(tokens[image]), expected, atol=1e-4)
        np.testing.assert_allclose(array(shares[image]), share, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(
    grids=shapes,
    llm=st.integers(1, 12),
    side=st.integers(1, 4),
    width=st.sampled_from([4, 8, 12]),
    depth=st.integers(1, 3),
)
def test_it_has_the_parameters_and_gives_the_tokens_it_states(
    grids: list[GridShape], llm: int, side: int, width: int, depth: int
) -> None:
    connector, h = build(grids, llm, side**2, width, depth), width
    expected = sum((grid.width + 1) * h for grid in grids) + side**2 * h
    expected += depth * (12 * h**2 + 6 * h) + 2 * h + (h + 1) * llm
    assert parameters(connector) == expected
    visual = connector(features(grids))
    assert visual.tokens.shape == (2, side**2, llm)
    assert visual.context is None


@settings(deadline=None, max_examples=20)
@given(grids=shapes)
def test_shares_sum_to_one(grids: list[GridShape]) -> None:
    shares = build(grids).shares(features(grids))
    assert shares is not None
    assert shares.shape == (2, len(grids))
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


def test_a_gradient_reaches_every_parameter() -> None:
    assert unreached(build(), features(GRIDS)) == []


def test_it_works_in_bfloat16() -> None:
    grids = features(GRIDS)
    exact = build()(grids).tokens
    half = build().bfloat16()([grid.bfloat16() for grid in grids]).tokens
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, atol=0.1, rtol=0.1)


def test_before_training_tokens_differ_from_picture_to_picture_and_from_query_to_query() -> None:
    # The pictures are noise, most of which attention over all tokens averages away; of real ones more is left.
    tokens = build(width=64, llm=32, queries=16)(features(GRIDS, images=32)).tokens
    assert tokens.var(0).mean() > 0.15 * tokens.square().mean()
    assert tokens.var(1).mean() > 0.15 * tokens.square().mean()


@given(side=st.integers(1, 12), times=st.sampled_from([3, 5]))
def test_a_place_has_the_same_code_on_every_grid(side: int, times: int) -> None:
    """The centre of a cell is the centre of the middle one of the odd number of cells it is cut into."""
    coarse = place_codes(side, 8).view(side, side, 8)
    fine = place_codes(side * times, 8).view(side * times, side * times, 8)
    torch.testing.assert_close(fine[times // 2 :: times, times // 2 :: times], coarse, atol=1e-4, rtol=0)


def test_where_a_token_is_makes_a_difference() -> None:
    grids = features(GRIDS)
    turned = [grid.flip(1) for grid in grids]
    connector = build()
    assert (connector(turned).tokens - connector(grids).tokens).abs().max() > 1e-3


def test_a_width_that_codes_of_places_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="width: 10 is not a multiple of 4, as codes of places need; use 8 or 12"):
        ResamplerSettings(width=10, heads=1)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="heads: 3 does not divide width 8"):
        ResamplerSettings(width=8, heads=3)


def test_a_grid_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        build()(features(GRIDS)[:2])
