"""Scenes with exact ground truth: flat arrangements, rooms in perspective, handwritten digits and bar charts."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from opabinia.burgess.handwriting import Split, draw_digit
from opabinia.burgess.vocabulary import COLOURS, DEPTHS, GRID, SHAPES, SIZES, cell_name

SIDE = 96
"""Side of a rendered picture, pixels."""
_CELL = SIDE / GRID
HORIZON, FOCAL = 20.0, 66.0
"""A floor point at depth d appears HORIZON + FOCAL / d pixels below the top."""
NEAREST, FARTHEST = 1.0, 4.0
"""Distance of the nearest and farthest thing of a room, in units of the nearest."""
MAX_BAR = 8
_RADIUS = {"small": 6.5, "large": 11.0}

Kind = Literal["flat", "room", "digits", "chart"]


@dataclass(frozen=True, slots=True)
class Thing:
    """A coloured shape. `x`, `y`, `radius` in pixels; `depth` in units of the nearest distance, 0 where flat."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    size: str = ""
    depth: float = 0.0

    @property
    def phrase(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def cell(self) -> str:
        return cell_name(self.x, self.y, SIDE)

    @property
    def depth_word(self) -> str:
        return DEPTHS[0] if self.depth < 1.5 else DEPTHS[1] if self.depth < 2.4 else DEPTHS[2]

    @property
    def ground(self) -> tuple[float, float]:
        """Position on the floor of a room: sideways and away from the camera, in units of the nearest distance."""
        return (self.x - SIDE / 2) * self.depth / FOCAL, self.depth


@dataclass(frozen=True, slots=True)
class Digit:
    """A real handwritten digit: `sample` indexes scikit-learn's bundled set. `x`, `y`, `side` in pixels."""

    value: int
    sample: int
    colour: str
    x: float
    y: float
    side: float

    @property
    def cell(self) -> str:
        return cell_name(self.x, self.y, SIDE)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a chart: `column` from the left, `height` in levels of 1..8 (half a cell each)."""

    colour: str
    column: int
    height: int


@dataclass(frozen=True, slots=True)
class Scene:
    kind: Kind
    background: int
    things: tuple[Thing, ...] = ()
    digits: tuple[Digit, ...] = ()
    bars: tuple[Bar, ...] = ()


def sample_scene(rng: random.Random, split: Split, kind: Kind | None = None) -> Scene:
    """Draw a scene; `split` decides which handwritten digits may appear, so that held-out ones are never trained on."""
    chosen = kind or rng.choices(tuple(_SAMPLERS), weights=(4, 3, 2, 2))[0]
    return _SAMPLERS[chosen](rng, split)


def _flat(rng: random.Random, split: Split) -> Scene:
    things = tuple(_flat_thing(rng, cell) for cell in rng.sample(range(GRID * GRID), rng.randint(1, 5)))
    return Scene("flat", _background(rng), things=things)


def _flat_thing(rng: random.Random, cell: int) -> Thing:
    row, column = divmod(cell, GRID)
    size = rng.choice(SIZES)
    radius = _RADIUS[size] * rng.uniform(0.9, 1.1)
    x, y = ((index + 0.5) * _CELL + rng.uniform(-4, 4) for index in (column, row))
    return Thing(rng.choice(SHAPES), rng.choice(COLOURS), x, y, radius, size=size)


def _room(rng: random.Random, split: Split) -> Scene:
    wanted = rng.randint(2, 4)
    things: list[Thing] = []
    while len(things) < wanted:
        candidate = _room_thing(rng)
        if candidate.cell not in {thing.cell for thing in things}:
            things.append(candidate)
    far_first = sorted(things, key=lambda thing: -thing.depth)
    return Scene("room", _background(rng), things=tuple(far_first))


def _room_thing(rng: random.Random) -> Thing:
    depth = 1 / rng.uniform(1 / FARTHEST, 1 / NEAREST)
    radius = 15 / depth * rng.uniform(0.85, 1.15)
    # A thing stands on the floor: its foot is at the projected depth, its centre one radius higher.
    foot = HORIZON + FOCAL / depth
    return Thing(
        rng.choice(SHAPES), rng.choice(COLOURS), rng.uniform(10, SIDE - 10), foot - radius, radius, depth=depth
    )


def _digits(rng: random.Random, split: Split) -> Scene:
    columns = rng.choice(((0,), (1,), (2,), (3,), (0, 2), (0, 3), (1, 3)))
    colours = rng.sample(COLOURS, len(columns))
    digits = tuple(_digit(rng, split, *pair) for pair in zip(columns, colours, strict=True))
    return Scene("digits", _background(rng), digits=digits)


def _digit(rng: random.Random, split: Split, column: int, colour: str) -> Digit:
    value, sample = draw_digit(rng, split)
    x = (column + 0.5) * _CELL + rng.uniform(-4, 4)
    y = rng.uniform(14, SIDE - 14)
    return Digit(value, sample, colour, x, y, rng.uniform(26, 34))


def _chart(rng: random.Random, split: Split) -> Scene:
    columns = sorted(rng.sample(range(GRID), rng.choice((3, 4))))
    heights = rng.sample(range(1, MAX_BAR + 1), len(columns))
    colours = rng.sample(COLOURS, len(columns))
    bars = tuple(Bar(*parts) for parts in zip(colours, columns, heights, strict=True))
    return Scene("chart", _background(rng), bars=bars)


def _background(rng: random.Random) -> int:
    return rng.randint(25, 85)


_SAMPLERS: dict[Kind, Callable[[random.Random, Split], Scene]] = {
    "flat": _flat,
    "room": _room,
    "digits": _digits,
    "chart": _chart,
}
