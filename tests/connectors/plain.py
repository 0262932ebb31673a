"""Layers written out in NumPy, for tests that compute a connector a second time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from connectors.contract import Connector, GridShape

Array = NDArray[np.float64]


def features(grids: Sequence[GridShape], images: int = 2, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(images, grid.side**2, grid.width, generator=generator) for grid in grids]


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy()


def weights_of(connector: Connector) -> dict[str, Array]:
    return {name: array(value) for name, value in connector.state_dict().items()}


def randomized(connector: Connector) -> Connector:
    """Every parameter moved, so that none that starts as nought or one can be forgotten."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in connector.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return connector


def parameters(connector: Connector) -> int:
    return sum(parameter.numel() for parameter in connector.parameters())


def unreached(connector: Connector, grids: Sequence[torch.Tensor]) -> list[str]:
    """Parameters that no gradient gets to."""
    connector(grids).tokens.square().sum().backward()
    return [name for name, value in connector.named_parameters() if value.grad is None or not value.grad.any()]


def linear(weights: dict[str, Array], name: str, rows: Array) -> Array:
    return rows @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)


def norm(weights: dict[str, Array], name: str, rows: Array) -> Array:
    centred = rows - rows.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(rows: Array) -> Array:
    return rows * 0.5 * (1 + np.vectorize(math.erf)(rows / math.sqrt(2)))


def sigmoid(rows: Array) -> Array:
    return 1 / (1 + np.exp(-rows))


def silu(rows: Array) -> Array:
    return rows * sigmoid(rows)


def softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


def gelu_mlp(weights: dict[str, Array], name: str, rows: Array) -> Array:
    return linear(weights, f"{name}.2", gelu(linear(weights, f"{name}.0", rows)))


def pooled(tokens: Array, side: int) -> Array:
    """Mean of the cells under each of `side * side` squares, `[tokens, width]`, where the sides divide."""
    old = math.isqrt(len(tokens))
    span, grid = old // side, tokens.reshape(old, old, -1)
    cells = [
        grid[row * span : (row + 1) * span, column * span : (column + 1) * span].mean((0, 1))
        for row in range(side)
        for column in range(side)
    ]
    return np.stack(cells)


def repeated(tokens: Array, side: int) -> Array:
    """A grid of one token, on any side."""
    assert len(tokens) == 1
    return np.repeat(tokens, side * side, axis=0)
