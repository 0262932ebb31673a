"""Draw a scene: 96 x 96 pixels, antialiased, with sensor noise; the same scene and seed give the same JPEG bytes."""

from __future__ import annotations

import io
import math
import random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from opabinia.burgess.handwriting import glyph
from opabinia.burgess.scenes import HORIZON, SIDE, Bar, Digit, Scene, Thing
from opabinia.burgess.vocabulary import GRID

if TYPE_CHECKING:
    from collections.abc import Iterable

Colour = tuple[int, int, int]
Point = tuple[float, float]

_OVERSAMPLE = 3
_NOISE = 6.0
_JPEG_QUALITY = 92
_COLOURS: dict[str, Colour] = {
    "red": (220, 45, 40),
    "green": (50, 175, 70),
    "blue": (55, 95, 225),
    "yellow": (235, 205, 50),
    "purple": (150, 65, 190),
    "white": (240, 240, 240),
}
_BAR_BASE, _BAR_LEVEL, _BAR_WIDTH = SIDE - 4, (SIDE - 8) / 8.5, 16


def render_jpeg(scene: Scene, rng: random.Random) -> bytes:
    """The picture as JPEG bytes."""
    buffer = io.BytesIO()
    render(scene, rng).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def render(scene: Scene, rng: random.Random) -> Image.Image:
    """The picture before compression; `rng` draws colour jitter and noise."""
    canvas = Image.new("RGB", (SIDE * _OVERSAMPLE, SIDE * _OVERSAMPLE), (scene.background,) * 3)
    draw = ImageDraw.Draw(canvas)
    if scene.kind == "room":
        _draw_floor(draw, scene.background)
    for thing in scene.things:
        _draw_thing(draw, thing, _jitter(rng, thing.colour))
    for bar in scene.bars:
        _draw_bar(draw, bar, _jitter(rng, bar.colour))
    small = canvas.resize((SIDE, SIDE), Image.Resampling.BOX)
    for digit in scene.digits:
        _paste_digit(small, digit, _jitter(rng, digit.colour))
    return _add_noise(small, rng)


def thing_outline(thing: Thing) -> list[Point]:
    """Corners of the thing's outline, pixels."""
    return [(thing.x + thing.radius * dx, thing.y + thing.radius * dy) for dx, dy in _OUTLINES[thing.shape]]


def bar_box(bar: Bar) -> tuple[Point, Point]:
    """Upper left and lower right corner of the bar, pixels."""
    centre = (bar.column + 0.5) * SIDE / GRID
    top = _BAR_BASE - bar.height * _BAR_LEVEL
    return (centre - _BAR_WIDTH / 2, top), (centre + _BAR_WIDTH / 2, _BAR_BASE)


def _draw_floor(draw: ImageDraw.ImageDraw, background: int) -> None:
    horizon = int(HORIZON * _OVERSAMPLE)
    for y in range(horizon, SIDE * _OVERSAMPLE):
        shade = background + int(45 * (y - horizon) / (SIDE * _OVERSAMPLE - horizon))
        draw.line(((0, y), (SIDE * _OVERSAMPLE, y)), fill=(shade, shade - 6, shade - 12))


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Thing, colour: Colour) -> None:
    edge = (colour[0] // 3, colour[1] // 3, colour[2] // 3)
    draw.polygon(_scaled(thing_outline(thing)), fill=colour, outline=edge, width=2)


def _draw_bar(draw: ImageDraw.ImageDraw, bar: Bar, colour: Colour) -> None:
    draw.rectangle(_scaled(bar_box(bar)), fill=colour)


def _paste_digit(picture: Image.Image, digit: Digit, colour: Colour) -> None:
    side = round(digit.side)
    ink = Image.fromarray(glyph(digit.sample)).resize((side, side), Image.Resampling.BICUBIC)
    picture.paste(colour, (round(digit.x - side / 2), round(digit.y - side / 2)), ink)


def _add_noise(picture: Image.Image, rng: random.Random) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(64)).normal(0, _NOISE, (SIDE, SIDE, 1))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def _jitter(rng: random.Random, colour: str) -> Colour:
    red, green, blue = (max(0, min(255, channel + rng.randint(-18, 18))) for channel in _COLOURS[colour])
    return red, green, blue


def _scaled(points: Iterable[Point]) -> list[Point]:
    return [(x * _OVERSAMPLE, y * _OVERSAMPLE) for x, y in points]


def _ring(corners: int, radii: tuple[float, ...]) -> list[Point]:
    """Corners around a centre, the first at the top, whose distances cycle through `radii`."""
    angles = [2 * math.pi * step / corners - math.pi / 2 for step in range(corners)]
    lengths = [radii[step % len(radii)] for step in range(corners)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(lengths, angles, strict=True)]


_ARM = 0.36
_OUTLINES: dict[str, list[Point]] = {
    "circle": _ring(40, (1.0,)),
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0.0, -1.05), (1.05, 0.85), (-1.05, 0.85)],
    "star": _ring(10, (1.15, 0.5)),
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip
