"""The registry, the MLP connector and the geometry of grids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import GridShape
from connectors.grids import resize_grid, square_side, windows
from connectors.registry import build_connector
from connectors.settings.base import ConnectorSettings
from connectors.settings.mlp import MlpSettings


@settings(deadline=None, max_examples=20)
@given(widths=st.lists(st.integers(1, 20), min_size=1, max_size=4), depth=st.integers(1, 3), llm=st.integers(1, 30))
def test_an_mlp_has_the_parameters_it_states(widths: list[int], depth: int, llm: int) -> None:
    grids = [GridShape(4, width) for width in widths]
    connector = build_connector(MlpSettings(type=f"mlp{depth}x_gelu"), grids, llm)
    expected = (sum(widths) + 1) * llm + (depth - 1) * (llm + 1) * llm
    assert sum(parameter.numel() for parameter in connector.parameters()) == expected


def test_an_mlp_gives_the_queries_asked_for_whatever_the_grids() -> None:
    grids = [GridShape(8, 3), GridShape(12, 5), GridShape(3, 2)]
    connector = build_connector(MlpSettings(), grids, 7)
    visual = connector([torch.randn(2, grid.side**2, grid.width) for grid in grids])
    assert visual.tokens.shape == (2, 16, 7)
    assert visual.context is None


def test_an_unknown_connector_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"connector\.type: unknown connector 'svaa'"):
        build_connector(ConnectorSettings(type="svaa"), [GridShape(4, 3)], 7)


def test_a_token_count_that_is_not_a_square_is_refused_with_the_nearest_that_are() -> None:
    with pytest.raises(ValueError, match="15 is not a square; use 9 or 16"):
        square_side(15)


def test_shrinking_by_a_whole_factor_averages_every_token() -> None:
    grid = torch.arange(16.0).view(1, 16, 1)
    assert resize_grid(grid, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@given(side=st.integers(1, 6), span=st.integers(1, 4), width=st.integers(1, 3))
def test_windows_hold_every_token_once_where_it_belongs(side: int, span: int, width: int) -> None:
    full = side * span
    grid = torch.arange(full * full * width, dtype=torch.float).view(1, full * full, width)
    cut = windows(grid, side)
    assert cut.shape == (1, side * side, span * span, width)
    for row in range(full):
        for column in range(full):
            cell, place = (row // span) * side + column // span, (row % span) * span + column % span
            assert torch.equal(cut[0, cell, place], grid[0, row * full + column])
