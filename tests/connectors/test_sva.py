"""SVA against a plain formulation: one query at a time over its own window."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from connectors import sva_block
from connectors.contract import GridShape, VisualContext
from connectors.registry import build_connector
from connectors.settings.sva import SvaSettings
from connectors.sva import SvaBlock, SvaConnector

GRIDS = (GridShape(8, 12), GridShape(12, 10), GridShape(4, 6))


def build(
    grids: tuple[GridShape, ...] = GRIDS, *, groups: tuple[int, ...] = (), depth: int = 1, layers: int = 2
) -> SvaConnector:
    settings = SvaSettings(width=16, depth=depth, groups=groups, in_llm_count=layers)
    torch.manual_seed(0)
    return cast("SvaConnector", build_connector(settings, grids, 24))


def features(grids: tuple[GridShape, ...] = GRIDS, images: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(images, grid.side**2, grid.width, generator=generator) for grid in grids]


def plain_block(block: SvaBlock, query: Tensor, context: VisualContext, heads: int) -> Tensor:
    """Equations of the aggregator for every cell by itself (Tong et al. 2024, §4)."""
    result = torch.empty_like(query)
    for cell, q in enumerate(query):
        z = block.input(torch.cat([q, block.context(context.summary[context.image_of[cell]])]))
        keys, values = [], []
        for index, window in enumerate(context.windows):
            features = window[cell]
            if str(index) in block.positions:
                features = features + block.positions.get_parameter(str(index))
            keys.append(block.to_key[index](features))
            values.append(block.to_value[index](features))
        key, value, asked = torch.cat(keys), torch.cat(values), block.to_query(z)
        hidden = torch.zeros(len(key)) if context.seen is None else torch.where(context.seen[cell], 0.0, -torch.inf)
        parts = []
        for k, v, a in zip(key.chunk(heads, -1), value.chunk(heads, -1), asked.chunk(heads, -1), strict=True):
            parts.append(((k @ a) / a.numel() ** 0.5 + hidden).softmax(0) @ v)
        result[cell] = q + block.output(block.norm(z + block.attended(torch.cat(parts))))
    return result


SIZES = [(40, 30), (10, 40)]


@pytest.mark.parametrize("sizes", [None, SIZES], ids=["square", "padded"])
@pytest.mark.parametrize("cells", [1, 5, 32, 1000])
def test_how_many_cells_are_computed_together_changes_nothing(
    sizes: list[tuple[int, int]] | None, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = build()
    expected = connector(features(), None, sizes).tokens
    monkeypatch.setitem(sva_block._CELLS_AT_ONCE, "cpu", cells)
    torch.testing.assert_close(connector(features(), None, sizes).tokens, expected)


@pytest.mark.parametrize("sizes", [None, SIZES], ids=["square", "padded"])
@pytest.mark.parametrize(("groups", "depth"), [((), 1), ((16, 16), 1), ((), 3)])
def test_the_connector_equals_the_plain_formulation(
    groups: tuple[int, ...], depth: int, sizes: list[tuple[int, int]] | None
) -> None:
    connector = build(groups=groups, depth=depth)
    visual = connector(features(), sizes=sizes)
    assert visual.context is not None
    aggregated = []
    for query, blocks in zip(connector.query, connector.groups, strict=True):
        hidden = query.expand(2 * 16, -1)
        for block in cast("nn.ModuleList", blocks):
            hidden = plain_block(cast("SvaBlock", block), hidden, visual.context, heads=4)
        aggregated.append(hidden.view(2, 16, -1))
    torch.testing.assert_close(visual.tokens, connector.output(torch.cat(aggregated, -1)), atol=1e-5, rtol=1e-5)


def test_layers_inside_the_language_model_equal_the_plain_formulation() -> None:
    connector = build()
    context = connector(features()).context
    assert context is not None
    hidden = torch.randn(2 * 16, 24)
    plain = plain_block(cast("SvaBlock", connector.inner["1"]), hidden, context, heads=4)
    torch.testing.assert_close(connector.reread(1, hidden, context), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("encoder", [1, 2])
def test_a_query_sees_its_own_window_only(encoder: int) -> None:
    # The first encoder also gives the summary that every query sees, so the others are asked.
    connector, grids = build(), features()
    before = connector(grids).tokens
    side = GRIDS[encoder].side
    changed = [grid.clone() for grid in grids]
    changed[encoder][:, (side - 1) * side + side - 1] += 1.0
    moved = (connector(changed).tokens - before).abs().sum(-1)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == [15]


@settings(deadline=None, max_examples=25)
@given(
    grids=st.lists(st.tuples(st.sampled_from([4, 6, 8, 12]), st.integers(2, 9)), min_size=1, max_size=3),
    groups=st.sampled_from([(), (16,), (16, 16)]),
    depth=st.integers(1, 2),
    layers=st.integers(0, 3),
)
def test_the_parameter_count_is_the_one_stated(
    grids: list[tuple[int, int]], groups: tuple[int, ...], depth: int, layers: int
) -> None:
    shapes = tuple(GridShape(side, width) for side, width in grids)
    connector = build(shapes, groups=groups, depth=depth, layers=layers)
    h, llm, encoders = 16, 24, len(shapes)
    spans = [max(1, round(grid.side / 4)) for grid in shapes]
    codes = h * sum(span**2 for span in spans if span > 1)

    def block(q: int) -> int:
        return (q + h) * h + q * h + 2 * h**2 + 2 * h**2 + 2 * h + 2 * h + encoders * (2 * h**2 + 4 * h) + codes

    count = len(groups) or 1
    expected = sum(grid.width * h + h**2 + 4 * h for grid in shapes) + count * h + count * depth * block(h)
    expected += layers * block(llm) + (count * h + 1) * llm + (llm + 1) * llm
    assert sum(parameter.numel() for parameter in connector.parameters()) == expected


def test_a_group_with_queries_of_its_own_is_resized_to_the_common_grid() -> None:
    connector = build(groups=(16, 4))
    assert connector(features()).tokens.shape == (2, 16, 24)


def test_attention_shares_sum_to_one_and_follow_the_encoders() -> None:
    connector = build(groups=(16, 4), depth=2)
    shares = connector.shares(features())
    assert shares.shape == (2, 3)
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


def test_padding_is_not_looked_at() -> None:
    connector, grids = build(layers=0), features()
    before = connector(grids, sizes=[(40, 20), (40, 20)]).tokens
    changed = [grid.clone() for grid in grids]
    # Of 8 rows the first and last two are padding; the first encoder's would move the summary that every query sees.
    for encoder, rows in ((1, 3), (2, 1)):
        changed[encoder].view(2, GRIDS[encoder].side, GRIDS[encoder].side, -1)[:, :rows] += 1.0
    kept = slice(4, 12)
    torch.testing.assert_close(connector(changed, sizes=[(40, 20), (40, 20)]).tokens[:, kept], before[:, kept])
