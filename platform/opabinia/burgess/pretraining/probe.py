"""Linear probes: what a linear classifier reads from one cell of a frozen encoder's features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from connectors.grids import resize_grid
from opabinia.burgess.handwriting import Split
from opabinia.burgess.pretraining.pictures import Pictures, draw_pictures
from opabinia.burgess.scenes import Scene
from opabinia.burgess.vocabulary import CELLS, COLOURS, DEPTHS, GRID, SHAPES
from opabinia.burgess.wording import telegram

_STEPS = 300
_BATCH = 64
_TRAINING, _TEST = 3000, 1000
PROBES: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "colour": COLOURS,
    "depth": DEPTHS,
    "digit": tuple(map(str, range(10))),
    "bar height": tuple(map(str, range(1, 9))),
}
"""Probe -> the words it tells apart; a cell takes part when exactly its kind of word was said of it."""
_NEEDED = {"digit": "digit", "bar height": "bar"}


def probe_encoder(encode: Callable[[Tensor], Tensor], side: int) -> dict[str, float]:
    """Percent of held-out cells classified right, per probe.

    `encode` maps pixels `[batch, 3, side, side]` in -1..1 to features `[batch, tokens, width]`; grids are averaged to 4 x 4 cells.
    """
    train, test = (_cells(encode, draw_pictures(count, f"probe-{split}", side, split)) for split, count in _SPLITS)
    return {name: _fit_and_score(name, train, test) for name in PROBES}


_SPLITS: tuple[tuple[Split, int], ...] = (("train", _TRAINING), ("heldout", _TEST))


def _cells(encode: Callable[[Tensor], Tensor], pictures: Pictures) -> tuple[Tensor, list[tuple[str, ...]]]:
    """Features of every cell, `[cells, width]`, and the words that hold there."""
    grids: list[Tensor] = []
    for start in range(0, len(pictures.scenes), _BATCH):
        indices = torch.arange(start, min(start + _BATCH, len(pictures.scenes)))
        grids.append(resize_grid(encode(pictures.batch(indices)), GRID))
    return torch.cat(grids).flatten(0, 1), [words for scene in pictures.scenes for words in _words(scene)]


def _words(scene: Scene) -> list[tuple[str, ...]]:
    told = telegram(scene)
    assert len(told) == len(CELLS)
    return [words[1:] for words in told]


def _fit_and_score(name: str, train: tuple[Tensor, list[tuple[str, ...]]], test: Any) -> float:
    inputs, labels = _examples(name, *train)
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-6
    torch.manual_seed(0)
    classifier = nn.Linear(inputs.shape[1], len(PROBES[name]))
    optimiser = torch.optim.Adam(classifier.parameters(), lr=0.03, weight_decay=1e-4)
    for _ in range(_STEPS):
        optimiser.zero_grad()
        functional.cross_entropy(classifier((inputs - mean) / spread), labels).backward()
        optimiser.step()
    held, wanted = _examples(name, *test)
    return 100 * float((classifier((held - mean) / spread).argmax(-1) == wanted).float().mean())


def _examples(name: str, cells: Tensor, words: list[tuple[str, ...]]) -> tuple[Tensor, Tensor]:
    classes, needed = PROBES[name], _NEEDED.get(name)
    chosen = [
        (index, classes.index(match[0]))
        for index, said in enumerate(words)
        if (needed is None or needed in said) and (match := [word for word in said if word in classes])
    ]
    return cells[[index for index, _ in chosen]], torch.tensor([label for _, label in chosen])
