"""Maps become the grid that an entry states: resized, joined, folded; checked against sums written out cell by cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from opabinia.encoders.reading import grid_from_maps, map_from_tokens
from tests.encoders.small_entries import VIT


def _bilinear(values: np.ndarray, side: int, aligned: bool) -> np.ndarray:
    """[channels, n, n] -> [channels, side, side], by weighting the four neighbours of every target cell."""
    n = values.shape[1]
    centres = np.arange(side)
    places = centres * (n - 1) / (side - 1) if aligned else ((centres + 0.5) * n / side - 0.5).clip(0, n - 1)
    low = np.floor(places).astype(int).clip(0, n - 2)
    weights = np.zeros((side, n))
    weights[centres, low], weights[centres, low + 1] = 1 - (places - low), places - low
    return np.einsum("yi,cij,xj->cyx", weights, values, weights)


def _tokens(maps: np.ndarray) -> Tensor:
    return torch.from_numpy(maps.reshape(maps.shape[0], -1).T)[None]


@pytest.mark.parametrize("mode", ["bilinear", "bilinear, corners aligned"])
@pytest.mark.parametrize("side", [3, 8])
def test_interpolation_weights_the_four_neighbours(mode: str, side: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, 5, 5))
    entry = replace(VIT, grid=side, width=2, interpolation=mode)
    expected = _tokens(_bilinear(values, side, aligned="aligned" in mode))
    features = grid_from_maps([torch.from_numpy(values)[None].float()], entry)
    torch.testing.assert_close(features, expected.float(), atol=1e-5, rtol=0)


def test_stages_are_resized_each_and_joined_on_channels() -> None:
    rng = np.random.default_rng(1)
    stages = [rng.normal(size=(channels, side, side)) for channels, side in ((1, 16), (2, 8), (4, 4), (8, 2))]
    entry = replace(VIT, grid=6, width=15, layer=(0, 1, 2, 3), interpolation="bilinear")
    expected = _tokens(np.concatenate([_bilinear(stage, 6, aligned=False) for stage in stages]))
    features = grid_from_maps([torch.from_numpy(stage)[None].float() for stage in stages], entry)
    torch.testing.assert_close(features, expected.float(), atol=1e-5, rtol=0)


def test_unshuffling_puts_a_square_of_cells_into_one_token() -> None:
    cells = torch.arange(2 * 4 * 4, dtype=torch.float32).reshape(1, 2, 4, 4)
    features = grid_from_maps([cells], replace(VIT, grid=2, width=8, unshuffle=2))
    assert features.shape == (1, 4, 8)
    for row in range(2):
        for column in range(2):
            square = cells[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            assert torch.equal(features[0, 2 * row + column], square.flatten())


def test_resizing_keeps_the_precision_of_the_weights() -> None:
    half = torch.randn(1, 64, 5, 5, dtype=torch.bfloat16)
    features = grid_from_maps([half], replace(VIT, interpolation="bilinear"))
    assert features.dtype == torch.bfloat16
    exact = torch.nn.functional.interpolate(half.float(), (4, 4), mode="bilinear").bfloat16()
    assert torch.equal(features, exact.flatten(2).transpose(1, 2))


def test_leading_tokens_are_dropped_and_the_rest_lies_row_by_row() -> None:
    tokens = torch.arange(2 * 11 * 3, dtype=torch.float32).reshape(2, 11, 3)
    grid = map_from_tokens(tokens, 2, "small/vit")
    assert torch.equal(grid[1, :, 2, 1], tokens[1, 2 + 2 * 3 + 1])


def test_tokens_that_are_no_square_are_refused() -> None:
    with pytest.raises(ValueError, match=r"small/vit: 10 tokens remain without 1 leading .* correct leading_tokens"):
        map_from_tokens(torch.zeros(1, 11, 3), 1, "small/vit")


@pytest.mark.parametrize(("shape", "what"), [((1, 64, 5, 5), "25 tokens"), ((1, 32, 4, 4), "32 channels")])
def test_another_grid_or_width_than_stated_is_refused(shape: tuple[int, ...], what: str) -> None:
    with pytest.raises(ValueError, match=f"small/vit: the weights give {what}"):
        grid_from_maps([torch.zeros(shape)], VIT)
